//! Calls of the Web API that reach Slack, or don't; and the checks of what leaves and of what becomes durable.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::{Owed, ROOT, Sabotage, World};
use crate::flow::ack::Released;
use crate::flow::envelope::Kind;
use crate::sim::Fault;
use crate::sim::inside::{Args, Body, Call};
use crate::store::simulated::Pending;
use crate::web::{Incoming, Outgoing};

impl World {
    /// A batch is durable: it agrees with what was durable before, and its marks with its deliveries.
    pub(in crate::app::simulation) fn check_batch(&mut self, batch: &Pending) {
        for text in self.journal.take(batch.lines()) {
            self.violate(text);
        }
        for mark in batch.marks() {
            let owed = self.marked.get(&mark).and_then(|id| self.owed.get(id));
            let Some(Owed { envelope, handlers }) = owed else {
                continue;
            };
            let is_owned = |handler: &&String| self.disk.owns(&envelope.id, handler);
            if handlers.iter().filter(is_owned).count() < handlers.len() {
                let text = format!("P1: the mark of {} is durable before it is", envelope.id);
                self.violate(text);
            }
        }
    }

    /// The process lets an ack go: everything that it promises must be durable.
    pub(in crate::app::simulation) fn check_ack(&mut self, released: &Released) -> bool {
        if !self.goes_on("before an ack") {
            return false;
        }
        let envelope_id = released.envelope_id.as_str();
        let Some(Owed { envelope, handlers }) = self.owed.get(envelope_id).cloned() else {
            self.violate(format!("an ack of {envelope_id}, which never arrived"));
            return true;
        };
        let id = &envelope.id;
        self.tell(|| format!("acks {id}, answer {:?}", released.answer));
        let not_owned: Vec<_> = handlers
            .iter()
            .filter(|handler| !self.disk.owns(id, handler))
            .collect();
        if !not_owned.is_empty() {
            let text = format!("P1: {id} is acked, and not durable for {not_owned:?}");
            self.violate(text);
        }
        if envelope.kind == Kind::Command && !handlers.is_empty() && !self.disk.lets_go(id) {
            self.violate(format!(
                "P8: the held ack of {id} goes before that is on record"
            ));
        }
        let mark = envelope.mark().filter(|_| !handlers.is_empty());
        if mark.is_some_and(|mark| !self.disk.knows(mark)) {
            self.violate(format!("P4: {id} is acked before its mark is durable"));
        }
        true
    }

    /// A call reaches Slack: how long its answer takes, and what it is. Nothing when the process does not live
    /// to see it.
    pub(super) fn take_call(
        &mut self,
        call: &Outgoing,
    ) -> Option<(Duration, Result<Incoming, String>)> {
        if !self.goes_on("before a call") {
            return None;
        }
        let bad = self.plan.bad_calls;
        let fault = self.happens(bad).then(|| self.fault());
        let method = call.method.clone();
        self.check_call(call);
        self.tell(|| format!("calls {method} {:?}, fault {fault:?}", call.fields));
        let cut = || Err("simulated: the connection is cut".to_owned());
        let answer = if let Some(path) = method.strip_prefix(ROOT) {
            let body = Value::Object(call.fields.clone());
            match fault {
                Some(Fault::CutBefore | Fault::RateLimited { .. }) => (Duration::ZERO, cut()),
                Some(Fault::Outage { status }) => {
                    (Duration::ZERO, Ok(incoming(status, None, "<html>".into())))
                }
                _ => {
                    let used = self.slack(|slack| slack.hook(path, Some(&body)));
                    let answer = if used.is_ok() {
                        incoming(200, None, "ok".into())
                    } else {
                        incoming(404, None, r#"{"ok":false,"error":"used_url"}"#.into())
                    };
                    let is_cut = fault == Some(Fault::CutAfter);
                    (Duration::ZERO, if is_cut { cut() } else { Ok(answer) })
                }
            }
        } else {
            let (args, _) = Args::new(call.fields.clone());
            let token = call.token.as_ref().map(|token| token.expose().to_owned());
            let asked = Call {
                method,
                token,
                args,
                ..Call::default()
            };
            let is_doubled = self.sabotage == Some(Sabotage::Posts)
                && asked.method == "chat.postMessage"
                && self.happens(100);
            let answer = self.slack(|slack| {
                if is_doubled {
                    slack.call(&asked);
                }
                if let Some(fault) = fault {
                    slack.faults.plan("*", fault, 1);
                }
                slack.call(&asked)
            });
            let after = answer.retry_after_s.map(Duration::from_secs);
            let arrived = match answer.body {
                Body::Json(body) => Ok(incoming(answer.status, after, body.to_string().into())),
                Body::Html => Ok(incoming(answer.status, after, "<html>".into())),
                Body::Empty => Ok(incoming(answer.status, after, "".into())),
                Body::Cut => cut(),
            };
            (Duration::from_millis(answer.delay_ms), arrived)
        };
        self.goes_on("after a call").then_some(answer)
    }

    /// What leaves is committed.
    fn check_call(&mut self, call: &Outgoing) {
        let metadata = call.fields.get("metadata").and_then(Value::as_str);
        let metadata: Option<Value> = metadata.and_then(|text| serde_json::from_str(text).ok());
        let Some(metadata) = metadata else { return };
        let effect = metadata["event_payload"]["effect"]
            .as_str()
            .unwrap_or_default();
        let (turn, _) = effect.rsplit_once('#').unwrap_or_default();
        if !self.disk.has_turn(turn) {
            self.violate(format!("P3: {effect} leaves before its commit is durable"));
        }
    }

    fn fault(&mut self) -> Fault {
        match self.rng.below(6) {
            0 => Fault::RateLimited {
                retry_after_s: 1 + self.rng.below(20),
            },
            1 => Fault::Outage { status: 503 },
            2 => Fault::Delay {
                ms: self.rng.below(20_000),
            },
            3 => Fault::CutBefore,
            4 => Fault::Error {
                code: "internal_error".to_owned(),
            },
            _ => Fault::CutAfter,
        }
    }
}

fn incoming(status: u16, retry_after: Option<Duration>, body: Bytes) -> Incoming {
    Incoming {
        status,
        retry_after,
        body: Ok(body),
    }
}

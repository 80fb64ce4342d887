//! A shard whose outputs are written down as words.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::mpsc;

use super::super::{Dedupe, Input, Machine, Output, ephemeral};
use crate::base::clock::{Clock, Instant};
use crate::bot::Result;
use crate::bot::activation::{Outcome, Registration};
use crate::bot::answer::Reply;
use crate::bot::handler::{HandlerActor, On};
use crate::bot::memo::{Memo, Received};
use crate::bot::route::Routes;
use crate::bot::turn::Turn;
use crate::dispatch::handler::TurnResult;
use crate::dispatch::router::Router;
use crate::flow::ack::{Ack, Released};
use crate::flow::effect::{Committed, Effect};
use crate::flow::envelope::{Arrival, Envelope, Kind, Origin};
use crate::flow::gate::Gate;
use crate::flow::identity::Installs;
use crate::flow::key::AppName;
use crate::slack::event::{Command, Message};
use crate::slack::id::TeamId;
use crate::store::Record;

#[derive(Default, Serialize, Deserialize)]
struct Greeter;

impl HandlerActor for Greeter {
    const NAME: &'static str = "greeter";
    fn routes(routes: &mut Routes<Self>) {
        routes.on::<Message>().per_user();
        routes.command("/greeted").per_user();
        routes.memo::<Count>();
    }
}

#[derive(Serialize, Deserialize)]
struct Count {}

impl Memo for Count {
    const NAME: &'static str = "count";
}

impl On<Received<Count>> for Greeter {
    async fn on(&mut self, _: Received<Count>, _: &mut Turn) -> Result<()> {
        Ok(())
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Second;

impl HandlerActor for Second {
    const NAME: &'static str = "second";
    fn routes(routes: &mut Routes<Self>) {
        routes.on::<Message>().containing("both").per_channel();
    }
}

impl On<Message> for Greeter {
    async fn on(&mut self, _: Message, _: &mut Turn) -> Result<()> {
        Ok(())
    }
}

impl On<Message> for Second {
    async fn on(&mut self, _: Message, _: &mut Turn) -> Result<()> {
        Ok(())
    }
}

impl On<Command> for Greeter {
    async fn on(&mut self, _: Command, _: &mut Turn) -> Result<Reply> {
        Ok(Reply::none())
    }
}

/// A shard whose outputs are written down as words.
pub(super) struct Shard {
    pub(super) machine: Machine,
    pub(super) now: Instant,
    pub(super) gate: Gate,
    socket: mpsc::Sender<Released>,
    acks: mpsc::Receiver<Released>,
    pub(super) next_seq: u64,
    pub(super) slots: Vec<(String, u64)>,
}

impl Shard {
    pub(super) fn new() -> Self {
        let now = Clock::system().now();
        let handlers = vec![Registration::of::<Greeter>(), Registration::of::<Second>()];
        let router = Arc::new(Router::new(handlers).unwrap());
        let (socket, acks) = mpsc::channel(1000);
        Self {
            machine: Machine::new(router, Installs::default(), Dedupe::new(now, 10_000, 9_000)),
            now,
            gate: Gate::new(1000),
            socket,
            acks,
            next_seq: 1,
            slots: Vec::new(),
        }
    }

    /// A shard where U1's greeter is resident and idle.
    pub(super) fn warm() -> Self {
        let mut shard = Self::new();
        shard.message("Ev0", "U1", "hi");
        shard.commit("Ev0/greeter");
        shard.durable();
        shard
    }

    pub(super) fn arrival(
        &self,
        kind: Kind,
        envelope_id: &str,
        payload: &serde_json::Value,
    ) -> Arrival {
        let origin = Origin {
            app: &AppName::new("a"),
            envelope_id,
            team: TeamId::default(),
        };
        let payload = Bytes::from(payload.to_string());
        Arrival {
            envelope: Arc::new(Envelope::read(kind, &origin, payload, 0).unwrap()),
            ack: Some(Ack {
                place: self.socket.clone().try_reserve_owned().unwrap(),
                envelope_id: envelope_id.into(),
            }),
            permit: self.gate.try_enter(),
            is_retry: false,
        }
    }

    pub(super) fn event(&self, id: &str, user: &str, text: &str, happened_s: u64) -> Arrival {
        let event =
            json!({"type": "message", "user": user, "channel": "C1", "ts": "1.2", "text": text});
        let payload =
            json!({"team_id": "T1", "event_id": id, "event_time": happened_s, "event": event});
        self.arrival(Kind::Event, id, &payload)
    }

    pub(super) fn message(&mut self, id: &str, user: &str, text: &str) -> Vec<String> {
        let arrival = self.event(id, user, text, 10_000);
        self.step(Input::Arrived(vec![arrival]))
    }

    pub(super) fn command(&mut self, id: &str) -> Vec<String> {
        let payload = json!({"command": "/greeted", "team_id": "T1", "channel_id": "C1", "user_id": "U1",
            "response_url": "http://hooks/1"});
        let arrival = self.arrival(Kind::Command, id, &payload);
        self.step(Input::Arrived(vec![arrival]))
    }

    pub(super) fn commit(&mut self, delivery: &str) -> Vec<String> {
        self.commit_with(delivery, None)
    }

    pub(super) fn commit_with(&mut self, delivery: &str, answer: Option<&str>) -> Vec<String> {
        let outcome = Outcome {
            state: None,
            version: 1,
            effects: Vec::new(),
            answer: answer.and_then(ephemeral),
        };
        self.end(delivery, TurnResult::Commit(outcome))
    }

    pub(super) fn end(&mut self, delivery: &str, result: TurnResult) -> Vec<String> {
        let at = self
            .slots
            .iter()
            .position(|(id, _)| id == &format!("a/{delivery}"))
            .unwrap_or_else(|| panic!("{delivery} was not delivered: {:?}", self.slots));
        let (_, slot) = self.slots.remove(at);
        self.step(Input::TurnEnded(slot, result))
    }

    pub(super) fn durable(&mut self) -> Vec<String> {
        self.step(Input::Durable(self.next_seq - 1))
    }

    pub(super) fn wait(&mut self, wait: Duration) -> Vec<String> {
        self.now += wait;
        self.step(Input::Tick)
    }

    pub(super) fn step(&mut self, input: Input) -> Vec<String> {
        let mut out = Vec::new();
        self.machine.step(self.now, input, &mut out);
        let first = self.next_seq;
        let mut told = Vec::new();
        for output in out {
            told.extend(self.tell(output));
        }
        if self.next_seq > first {
            self.machine.submitted(first);
        }
        while let Ok(released) = self.acks.try_recv() {
            let answer = released.answer.map(|answer| answer.get().to_owned());
            told.push(
                format!(
                    "ack {} {}",
                    released.envelope_id,
                    answer.unwrap_or_default()
                )
                .trim_end()
                .to_owned(),
            );
        }
        told
    }

    pub(super) fn tell(&mut self, output: Output) -> Option<String> {
        Some(match output {
            Output::Deliver(delivery, ..) => {
                self.slots.push((delivery.id(), delivery.slot));
                format!("deliver {}", delivery.id())
            }
            Output::Submit(record, mark) => {
                let seq = self.next_seq;
                self.next_seq += 1;
                let marked = if mark.is_some() { " marked" } else { "" };
                match record {
                    Record::Row {
                        envelope, is_held, ..
                    } => {
                        format!(
                            "row {seq} {}{}{marked}",
                            envelope.id,
                            if is_held { " held" } else { "" }
                        )
                    }
                    Record::Turn {
                        event,
                        key,
                        row,
                        effects,
                        ..
                    } => {
                        format!(
                            "turn {}/{} row {row:?} effects {}{marked}",
                            event,
                            key.handler(),
                            effects.len()
                        )
                    }
                    Record::DeadDelivery {
                        row,
                        error,
                        effects,
                        ..
                    } => {
                        let told = match effects.len() {
                            0 => String::new(),
                            count => format!(" effects {count}"),
                        };
                        format!("dead row {row:?} {error}{told}{marked}")
                    }
                    other => format!("{other:?}"),
                }
            }
            Output::Ack(ack, answer) => {
                ack.release(answer);
                return None;
            }
            Output::Perform(effects) => format!("perform {}", effects.len()),
            Output::ReadRows(key, rows) => format!("read {key} {rows:?}"),
            Output::Flushed => "flushed".to_owned(),
            Output::Exhumed => "exhumed".to_owned(),
            Output::TellOnRecord(key) => format!("on record {key}"),
            Output::ReadMark(number, _) => format!("look up {number}"),
        })
    }
}

impl Shard {
    /// A memo for U1's greeter.
    pub(super) fn internal(&mut self, name: &str) -> Vec<String> {
        let payload = json!({"effect": "a/Ev0/greeter#0", "name": name, "key": "greeter/a/T1/user/U1", "hops": 1,
            "context": {"team": "T1", "user": "U1", "channel": "C1", "ts": "", "thread_ts": ""},
            "from": "second/a/T1/channel/C1", "body": "{}"});
        let mut arrival = self.arrival(Kind::Memo, "", &payload);
        (arrival.ack, arrival.permit) = (None, None);
        let committed = Committed {
            seq: 2,
            n: 0,
            name: crate::flow::effect::EffectName("a/Ev0/greeter#0".into()),
            app: AppName::new("a"),
            team: "T1".into(),
            effect: Effect::Call(crate::flow::effect::Call {
                method: "x".into(),
                args: serde_json::Map::new(),
                posted: std::collections::BTreeMap::default(),
            }),
            at_ms: 0,
            is_recovered: false,
        };
        let told = self.step(Input::Internal(Box::new((arrival, committed))));
        told.into_iter().map(|line| line.to_lowercase()).collect()
    }
}

//! One try of one call: fill in what is known by now, look before repeating, call, judge.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::looking::{Look, Looks};
use super::machine::Tried;
use crate::base::limits::POSTED_IN_MEMORY_MAX;
use crate::flow::effect::{Call, Committed, Effect, EffectName};
use crate::flow::identity::Installs;
use crate::slack::error::Then;
use crate::slack::id::{ChannelId, Ts};
use crate::store::Reader;
use crate::web::{Client, Error, Request, Response};

/// The event type of the metadata by which a post of ours is recognised.
pub(super) const METADATA_TYPE: &str = "callboard_effect";

/// What a try needs.
#[derive(Debug, Clone)]
pub(super) struct Sender {
    pub(super) web: Client,
    pub(super) reader: Reader,
    pub(super) installs: Installs,
    pub(super) posted: Rc<RefCell<PostedWindow>>,
    pub(super) looks: Looks,
}

/// Which message the newest posts became.
#[derive(Debug, Default)]
pub(super) struct PostedWindow {
    known: HashMap<EffectName, Ts>,
    order: VecDeque<EffectName>,
}

impl PostedWindow {
    fn put(&mut self, name: EffectName, ts: Ts) {
        if self.known.insert(name.clone(), ts).is_none() {
            self.order.push_back(name);
        }
        if self.order.len() > POSTED_IN_MEMORY_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

#[derive(Debug, Deserialize)]
struct PostAnswer {
    #[serde(default)]
    channel: ChannelId,
    #[serde(default)]
    ts: Ts,
}

impl Sender {
    /// Makes the call.
    pub(super) async fn send(self, committed: Committed) -> Tried {
        let Effect::Call(call) = &committed.effect else {
            return Tried::Never("not a call".to_owned());
        };
        let is_url = call.method.starts_with("http");
        // Asked first: an install may become known between the two questions.
        let is_settled = self.installs.is_settled(&committed.app);
        let install = self.installs.get(&committed.app, &committed.team);
        let token = match &install {
            _ if is_url => None,
            Some(install) => Some(&install.token),
            None if !is_settled => return Tried::NotYet,
            None => {
                return Tried::Never(format!(
                    "no bot token of app {} for workspace {}; add it to bot_tokens",
                    committed.app, committed.team
                ));
            }
        };
        let args = match self.filled(call).await {
            Ok(args) => args,
            Err(tried) => return tried,
        };
        if committed.is_recovered
            && let Some(token) = token
        {
            let look = Look::of(call, &args, &committed);
            match self.looks.find(look, &self.web, token).await {
                Ok(None) => {}
                Ok(Some(found)) => {
                    tracing::info!(effect = %committed.name.0, "a post of before is found, and not repeated");
                    return self.done(&committed, Some(found));
                }
                Err(tried) => return tried,
            }
        }
        let args = marked(call, args, &committed.name);
        let request = Request {
            method: &call.method,
            args: &args,
            token,
        };
        match self.web.call(request).await {
            Ok(response) => self.done(&committed, posted(call, &response)),
            // It was done by an earlier try whose answer was lost.
            Err(Error::Slack { code, .. }) if code.as_str() == "already_reacted" => {
                Tried::Done(None)
            }
            Err(error) => judged(&error, error.is_unknown()),
        }
    }

    fn done(&self, committed: &Committed, posted: Option<(ChannelId, Ts)>) -> Tried {
        if let Some((_, ts)) = &posted {
            self.posted
                .borrow_mut()
                .put(committed.name.clone(), ts.clone());
        }
        Tried::Done(posted)
    }

    /// The arguments, with the `ts` of everything that was posted earlier.
    async fn filled(&self, call: &Call) -> Result<Map<String, Value>, Tried> {
        let mut args = call.args.clone();
        for (argument, name) in &call.posted {
            let known = self.posted.borrow().known.get(name).cloned();
            let ts = match known {
                Some(ts) => Some(ts),
                None => self
                    .reader
                    .posted(name.clone())
                    .await
                    .map_err(|error| Tried::Again {
                        error: error.to_string(),
                        after: None,
                        is_unknown: false,
                    })?,
            };
            let Some(ts) = ts else {
                return Err(Tried::Never(format!(
                    "the message it belongs to ({}) was never posted",
                    name.0
                )));
            };
            args.insert(argument.clone(), ts.as_str().into());
        }
        Ok(args)
    }
}

/// Marks a post so that it can be found again; metadata of the author's own goes first.
fn marked(call: &Call, mut args: Map<String, Value>, name: &EffectName) -> Map<String, Value> {
    if call.method == "chat.postMessage" && !args.contains_key("metadata") {
        let metadata = json!({"event_type": METADATA_TYPE, "event_payload": {"effect": name.0}});
        args.insert("metadata".into(), metadata);
    }
    args
}

fn posted(call: &Call, response: &Response) -> Option<(ChannelId, Ts)> {
    if call.method != "chat.postMessage" {
        return None;
    }
    let answer: PostAnswer = response.parse().ok()?;
    Some((answer.channel, answer.ts))
}

pub(super) fn judged(error: &Error, is_unknown: bool) -> Tried {
    match error.then() {
        Then::Retry => Tried::Again {
            error: error.to_string(),
            after: error.retry_after(),
            is_unknown,
        },
        Then::GiveUp | Then::Stop => Tried::Never(error.to_string()),
    }
}

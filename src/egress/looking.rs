//! Looking for a post before it is made again: after a crash, or when no answer came.
//!
//! A channel is read from its newest message back to the time of the post's commit, a thread from there on; page by
//! page, however much was written since. A look that Slack interrupts goes on where it was.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::machine::Tried;
use super::sending::{METADATA_TYPE, judged};
use crate::base::limits::{LOOK_CLOCKS_DIFFER, LOOK_PAGE, LOOK_PAGES_MAX, LOOKS_MAX};
use crate::base::secret::Secret;
use crate::flow::effect::{Call, Committed, EffectName};
use crate::slack::error::Then;
use crate::slack::id::{ChannelId, Ts};
use crate::web::{Client, Error, Request};

/// Where to look, and for what.
#[derive(Debug, PartialEq)]
pub(super) struct Look {
    name: EffectName,
    channel: ChannelId,
    method: &'static str,
    args: Map<String, Value>,
}

/// How far a look came.
#[derive(Debug, Default)]
struct Place {
    cursor: Option<String>,
    pages: u32,
}

/// Looks that Slack interrupted.
#[derive(Debug, Clone, Default)]
pub(super) struct Looks(Rc<RefCell<HashMap<EffectName, Place>>>);

#[derive(Debug, Deserialize)]
struct Page {
    #[serde(default)]
    messages: Vec<Found>,
    response_metadata: Option<Further>,
}

#[derive(Debug, Deserialize)]
struct Further {
    next_cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Found {
    #[serde(default)]
    ts: Ts,
    #[serde(default)]
    metadata: Option<Metadata>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    event_type: String,
    event_payload: Value,
}

impl Found {
    fn is_by(&self, name: &EffectName) -> bool {
        self.metadata.as_ref().is_some_and(|metadata| {
            let effect = metadata.event_payload.get("effect").and_then(Value::as_str);
            metadata.event_type == METADATA_TYPE && effect == Some(name.0.as_str())
        })
    }
}

impl Look {
    /// Nothing for what can't be looked for: only posts carry the name of their effect.
    pub(super) fn of(
        call: &Call,
        args: &Map<String, Value>,
        committed: &Committed,
    ) -> Option<Self> {
        let text = |name| args.get(name).and_then(Value::as_str);
        let channel = text("channel").filter(|_| call.method == "chat.postMessage")?;
        let mut look = Map::new();
        look.insert("channel".into(), json!(channel));
        look.insert("include_all_metadata".into(), json!(true));
        look.insert("limit".into(), json!(LOOK_PAGE));
        if committed.at_ms > 0 {
            look.insert("oldest".into(), json!(oldest(committed.at_ms)));
        }
        let method = if let Some(thread) = text("thread_ts") {
            look.insert("ts".into(), json!(thread));
            "conversations.replies"
        } else {
            "conversations.history"
        };
        Some(Self {
            name: committed.name.clone(),
            channel: ChannelId::new(channel),
            method,
            args: look,
        })
    }
}

/// The `ts` of the oldest message that can be by an effect committed at `at_ms`: Slack has a clock of its own.
fn oldest(at_ms: u64) -> String {
    let differ = u64::try_from(LOOK_CLOCKS_DIFFER.as_millis()).unwrap_or(u64::MAX);
    let since = at_ms.saturating_sub(differ);
    format!("{}.{:06}", since / 1000, since % 1000 * 1000)
}

impl Looks {
    /// The message that the post became before a crash or a cut connection.
    ///
    /// Nothing when it is not there, or when Slack does not let us look: then it is posted (again). While looking may
    /// work later, it waits.
    pub(super) async fn find(
        &self,
        look: Option<Look>,
        web: &Client,
        token: &Secret,
    ) -> Result<Option<(ChannelId, Ts)>, Tried> {
        let Some(look) = look else {
            return Ok(None);
        };
        let mut place = self.0.borrow_mut().remove(&look.name).unwrap_or_default();
        loop {
            let error = match look.page(&place, web, token).await {
                Ok(page) => {
                    let mut messages = page.messages.into_iter();
                    if let Some(found) = messages.find(|message| message.is_by(&look.name)) {
                        return Ok(Some((look.channel, found.ts)));
                    }
                    place.pages += 1;
                    let further = page.response_metadata.and_then(|it| it.next_cursor);
                    let Some(further) = further.filter(|cursor| !cursor.is_empty()) else {
                        return Ok(None);
                    };
                    if place.pages >= LOOK_PAGES_MAX {
                        let messages = LOOK_PAGES_MAX * LOOK_PAGE;
                        tracing::warn!(effect = %look.name.0, messages, "too much was written since to see whether this was posted before; it is posted again");
                        return Ok(None);
                    }
                    place.cursor = Some(further);
                    continue;
                }
                Err(error) => error,
            };
            if error.then() == Then::Retry {
                self.interrupted(look.name, place);
                // The post itself is not tried: its outcome is as unknown as before.
                return Err(judged(&error, true));
            }
            if place.cursor.is_some() && is_expired(&error) {
                // It begins anew.
                return Err(Tried::Again {
                    error: error.to_string(),
                    after: None,
                    is_unknown: true,
                });
            }
            tracing::warn!(effect = %look.name.0, %error, "it can't be seen whether this was posted before; it is posted again");
            return Ok(None);
        }
    }

    fn interrupted(&self, name: EffectName, place: Place) {
        let mut looks = self.0.borrow_mut();
        if looks.len() >= LOOKS_MAX {
            // They begin anew.
            looks.clear();
        }
        looks.insert(name, place);
    }
}

impl Look {
    async fn page(&self, place: &Place, web: &Client, token: &Secret) -> Result<Page, Error> {
        let mut args = self.args.clone();
        if let Some(cursor) = &place.cursor {
            args.insert("cursor".into(), json!(cursor));
        }
        let request = Request {
            method: self.method,
            args: &args,
            token: Some(token),
        };
        let response = web.call(request).await?;
        response.parse().map_err(|error| Error::Impossible {
            method: self.method.to_owned(),
            why: format!("the answer can't be read: {error}"),
        })
    }
}

fn is_expired(error: &Error) -> bool {
    matches!(error, Error::Slack { code, .. } if code.as_str() == "invalid_cursor")
}

#[cfg(test)]
mod tests;

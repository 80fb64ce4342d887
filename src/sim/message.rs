//! What was written in one channel: storing, editing, reading back in pages.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use serde_json::Value;

use crate::slack::id::{AppId, BotId, Ts, UserId};

/// A stored message.
#[derive(Debug, Clone, Default)]
pub(crate) struct Message {
    pub(crate) ts: Ts,
    pub(crate) user: UserId,
    /// Set when a bot wrote it.
    pub(crate) bot: Option<(BotId, AppId)>,
    pub(crate) text: String,
    /// The thread's first message, when this is an answer.
    pub(crate) thread_ts: Option<Ts>,
    pub(crate) blocks: Option<Value>,
    pub(crate) attachments: Option<Value>,
    pub(crate) metadata: Option<Value>,
    pub(crate) username: Option<String>,
    pub(crate) client_msg_id: Option<String>,
    /// Whether an answer is shown in the channel too.
    pub(crate) is_broadcast: bool,
    pub(crate) edited: Option<(UserId, Ts)>,
    pub(crate) reactions: Vec<(String, Vec<UserId>)>,
}

/// What [`Log::history`] is asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Range {
    pub(crate) oldest: Option<Ts>,
    pub(crate) latest: Option<Ts>,
    pub(crate) is_inclusive: bool,
    pub(crate) limit: usize,
}

impl Range {
    fn holds(&self, ts: &Ts) -> bool {
        let after = self
            .oldest
            .as_ref()
            .is_none_or(|oldest| ts > oldest || (self.is_inclusive && ts == oldest));
        let before = self
            .latest
            .as_ref()
            .is_none_or(|latest| ts < latest || (self.is_inclusive && ts == latest));
        after && before
    }
}

/// The messages of one channel.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log {
    messages: BTreeMap<Ts, Message>,
    threads: HashMap<Ts, Vec<Ts>>,
}

impl Log {
    /// Stores a message whose `thread_ts`, if any, names a message of this log.
    pub(crate) fn insert(&mut self, message: Message) {
        if let Some(parent) = &message.thread_ts {
            let answers = self.threads.entry(parent.clone()).or_default();
            answers.push(message.ts.clone());
        }
        self.messages.insert(message.ts.clone(), message);
    }

    pub(crate) fn get(&self, ts: &Ts) -> Option<&Message> {
        self.messages.get(ts)
    }

    pub(crate) fn get_mut(&mut self, ts: &Ts) -> Option<&mut Message> {
        self.messages.get_mut(ts)
    }

    /// The first message of the thread that `ts` belongs to; itself when it is no answer.
    pub(crate) fn parent_of(&self, ts: &Ts) -> Option<Ts> {
        let message = self.messages.get(ts)?;
        Some(message.thread_ts.clone().unwrap_or_else(|| ts.clone()))
    }

    /// The answers to `parent`, oldest first.
    pub(crate) fn answers(&self, parent: &Ts) -> impl Iterator<Item = &Message> {
        let answers = self.threads.get(parent).map_or(&[][..], Vec::as_slice);
        answers.iter().filter_map(|ts| self.messages.get(ts))
    }

    /// Everything, oldest first, answers included.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Message> {
        self.messages.values()
    }

    /// The channel's messages without answers in threads, newest first, from `start` (inclusive) backwards;
    /// with the ts to go on from when there is more.
    pub(crate) fn history(&self, range: &Range, start: Option<&Ts>) -> (Vec<&Message>, Option<Ts>) {
        let upper = start.map_or(Bound::Unbounded, Bound::Included);
        let mut found = self
            .messages
            .range::<Ts, _>((Bound::Unbounded, upper))
            .rev()
            .map(|(_, message)| message)
            .filter(|message| message.thread_ts.is_none() || message.is_broadcast)
            .filter(|message| range.holds(&message.ts));
        let page: Vec<&Message> = found.by_ref().take(range.limit).collect();
        let next = found.next().map(|message| message.ts.clone());
        (page, next)
    }

    /// The thread of `parent`: the parent first in every page, then answers, oldest first, from `start`
    /// (inclusive) on; with the ts to go on from when there is more. `limit` counts answers.
    pub(crate) fn replies(
        &self,
        parent: &Ts,
        range: &Range,
        start: Option<&Ts>,
    ) -> Option<(Vec<&Message>, Option<Ts>)> {
        let mut page = vec![self.messages.get(parent)?];
        let mut found = self
            .answers(parent)
            .filter(|message| start.is_none_or(|start| message.ts >= *start))
            .filter(|message| range.holds(&message.ts));
        page.extend(found.by_ref().take(range.limit));
        let next = found.next().map(|message| message.ts.clone());
        Some((page, next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> Log {
        let mut log = Log::default();
        for (ts, parent) in [
            ("1", None),
            ("2", None),
            ("3", Some("1")),
            ("4", None),
            ("5", Some("1")),
        ] {
            log.insert(Message {
                ts: Ts::from(ts),
                thread_ts: parent.map(Ts::from),
                ..Message::default()
            });
        }
        log
    }

    fn all(limit: usize) -> Range {
        Range {
            limit,
            ..Range::default()
        }
    }

    fn names(page: &[&Message]) -> String {
        page.iter().map(|message| message.ts.as_str()).collect()
    }

    #[test]
    fn history_is_newest_first_and_without_answers() {
        let log = log();
        assert_eq!(names(&log.history(&all(10), None).0), "421");
    }

    #[test]
    fn history_pages_join_without_gap_or_repeat() {
        let log = log();
        let (page, next) = log.history(&all(2), None);
        assert_eq!(
            (names(&page).as_str(), next.clone()),
            ("42", Some(Ts::from("1")))
        );
        let (page, next) = log.history(&all(2), next.as_ref());
        assert_eq!((names(&page).as_str(), next), ("1", None));
    }

    #[test]
    fn oldest_and_latest_count_only_when_inclusive() {
        let log = log();
        let mut range = Range {
            oldest: Some(Ts::from("1")),
            latest: Some(Ts::from("4")),
            ..all(10)
        };
        assert_eq!(names(&log.history(&range, None).0), "2");
        range.is_inclusive = true;
        assert_eq!(names(&log.history(&range, None).0), "421");
    }

    #[test]
    fn replies_begin_with_the_parent_in_every_page() {
        let log = log();
        let parent = Ts::from("1");
        let (page, next) = log.replies(&parent, &all(1), None).unwrap();
        assert_eq!(names(&page), "13");
        let (page, next) = log.replies(&parent, &all(1), next.as_ref()).unwrap();
        assert_eq!((names(&page).as_str(), next), ("15", None));
        assert_eq!(log.parent_of(&Ts::from("5")), Some(parent));
        assert!(log.replies(&Ts::from("9"), &all(1), None).is_none());
    }
}

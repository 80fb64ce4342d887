//! The judge outside: decides the promises from the simulator's record alone.
//!
//! It sees only what passed between Slack and the program (envelopes, acks, frames, calls) and uses none of the
//! program's code. It knows one bot: whoever writes "hello" is answered `Hello <@U>, that makes N`, where N counts
//! the greetings of that user in that workspace by that app. The effect in a post's metadata names the event that
//! it answers; everything else is found by counting.
//!
//! | rule | promise |
//! |---|---|
//! | [`answered`] | P1: what was acked (RTM: delivered) is answered |
//! | [`ordered`] | P2: per key in order |
//! | [`counted`] | P3: state and posts belong together: 1..n without gap or repeat |
//! | [`once`] | P4: each event is answered once, by one post, in its place |
//! | [`acked`] | P8: an ack for each delivery, at most one, in time |
mod acked;
mod answered;
mod counted;
mod facts;
mod forge;
mod once;
mod ordered;
mod record;
mod tests;

use std::fmt;

pub(crate) use facts::Facts;
pub(crate) use record::Record;

/// What a run was allowed to do, beyond keeping every promise.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules {
    /// The process is killed: a post that Slack took and of which no note was made may be made again.
    pub(crate) are_kills_declared: bool,
    /// The deadline is shorter than the runtime can hold: acks may be late.
    pub(crate) are_late_acks_declared: bool,
    /// Greetings with this word are given up: they are never answered, and don't count.
    pub(crate) given_up_word: Option<&'static str>,
}

/// Which promise was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Promise {
    AckedImpliesHandled,
    InOrderPerKey,
    AllOrNothing,
    HandledOnce,
    AcksInTime,
}

/// One promise that was broken, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) promise: Promise,
    pub(crate) text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.promise {
            Promise::AckedImpliesHandled => "P1 acked implies handled",
            Promise::InOrderPerKey => "P2 in order per key",
            Promise::AllOrNothing => "P3 all or nothing",
            Promise::HandledOnce => "P4 handled once",
            Promise::AcksInTime => "P8 acks",
        };
        write!(f, "{name}: {}", self.text)
    }
}

/// What the judge found.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) violations: Vec<Violation>,
    /// Greetings that were owned, so that an answer is owed.
    pub(crate) owned: usize,
    /// Greetings that were answered.
    pub(crate) answered: usize,
    /// Posts made twice because a kill fell between Slack's receipt and our note.
    pub(crate) doubled_by_kills: usize,
}

impl Verdict {
    fn broken(&mut self, promise: Promise, text: String) {
        self.violations.push(Violation { promise, text });
    }

    /// Fails with every violation, one in a line.
    #[track_caller]
    pub(crate) fn assert_kept(&self) {
        let lines: Vec<String> = self.violations.iter().map(ToString::to_string).collect();
        assert!(
            lines.is_empty(),
            "{} violations:\n{}\n",
            lines.len(),
            lines.join("\n")
        );
    }
}

/// Judges a record that is complete: nothing is under way any more.
pub(crate) fn judge(record: &Record, rules: &Rules) -> Verdict {
    let facts = Facts::of(record);
    let mut verdict = Verdict::default();
    answered::judge(&facts, rules, &mut verdict);
    ordered::judge(&facts, &mut verdict);
    counted::judge(&facts, &mut verdict);
    once::judge(&facts, rules, &mut verdict);
    acked::judge(record, rules, &mut verdict);
    verdict
}

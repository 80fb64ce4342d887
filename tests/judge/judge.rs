//! The judge outside: decides the promises from the simulator's record alone.
//!
//! It sees only what passed between Slack and the program (envelopes, acks, frames, calls) and uses none of the
//! program's code. It knows a few bots, each with a counter of its own in its answers ([`Bot`]), and two slash
//! commands. The effect in a post's metadata names the event that it answers; everything else is found by counting.
//!
//! | rule | promise |
//! |---|---|
//! | [`answered`] | P1: what was acked (RTM: delivered) is answered |
//! | [`ordered`] | P2: per key in order |
//! | [`counted`] | P3: state and posts belong together: 1..n without gap or repeat |
//! | [`once`] | P4: each event is answered once, by one post, in its place |
//! | [`commands`] | P1, P3 and P4 of slash commands: answer, posts and job |
//! | [`acked`] | P8: an ack for each delivery, at most one, in time |
mod acked;
mod answered;
mod bots;
mod commands;
mod counted;
mod facts;
mod forge;
mod once;
mod ordered;
mod record;
mod tests;

use std::fmt;

pub(crate) use bots::Bot;
pub(crate) use facts::Facts;
pub(crate) use record::Record;

/// Who ran, and what the run was allowed to do, beyond keeping every promise.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// The bots that were hosted.
    pub(crate) bots: &'static [Bot],
    /// The process is killed: a late answer to a command that Slack took and of which no note was made may be given
    /// again. Posts may not: they are looked for.
    pub(crate) are_kills_declared: bool,
    /// The deadline is shorter than the runtime can hold: acks may be late.
    pub(crate) are_late_acks_declared: bool,
    /// Slack takes calls whose answers get lost: an answer to a `response_url`, where nobody can look, may be made
    /// again without a kill.
    pub(crate) are_answers_lost: bool,
    /// Messages with this word may have been given up, and retried by an operator: then they are owed, and have lost
    /// their place in the order.
    pub(crate) retried: Option<&'static str>,
    /// Messages with this word are given up by this bot: never answered, and not counted.
    pub(crate) given_up: &'static [(Bot, &'static str)],
}

impl Rules {
    /// The greeter alone, and nothing allowed.
    pub(crate) const GREETER: Self = Self {
        bots: &[Bot::Greeter],
        are_kills_declared: false,
        are_late_acks_declared: false,
        are_answers_lost: false,
        retried: None,
        given_up: &[],
    };
}

impl Default for Rules {
    fn default() -> Self {
        Self::GREETER
    }
}

/// A delivery that the program gave up because the process ended again and again while it ran: that many kills on one
/// delivery look like poison. Only the store tells which they are.
#[derive(Debug, Clone)]
pub(crate) struct Buried {
    /// The envelope's id in the store: the app's name, and the event, or the effect that sent it.
    pub(crate) name: String,
    /// The handler that it was for.
    pub(crate) handler: String,
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
    /// Answers that are owed: those of each bot, to each message that was owned.
    pub(crate) owned: usize,
    /// Answers that were given, repeats not counted.
    pub(crate) answered: usize,
    /// Slash commands that were acked in time, so that an answer is owed.
    pub(crate) commands_owned: usize,
    /// Slash commands that were answered.
    pub(crate) commands_answered: usize,
    /// Acks that came after their deadline.
    pub(crate) late_acks: usize,
    /// Late answers given twice because a kill, or the loss of an answer, fell between Slack's receipt and our note.
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
    judge_without(record, rules, &[])
}

/// Judges a complete record; nothing is owed by the deliveries that were `buried`.
pub(crate) fn judge_without(record: &Record, rules: &Rules, buried: &[Buried]) -> Verdict {
    let facts = Facts::of(record);
    let mut verdict = Verdict::default();
    answered::judge(&facts, rules, buried, &mut verdict);
    ordered::judge(&facts, rules, &mut verdict);
    counted::judge(&facts, &mut verdict);
    once::judge(&facts, &mut verdict);
    commands::judge(record, &facts, rules, buried, &mut verdict);
    acked::judge(record, rules, &mut verdict);
    verdict
}

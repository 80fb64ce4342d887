//! P3: a turn's new state and its post belong together, so the counters of a key's answers are 1..n.
//!
//! A gap is a state without its post, a repeat a post without its state (or two turns at a time).

use std::collections::BTreeMap;

use super::bots::{Bot, Key};
use super::facts::{Answer, Facts};
use super::{Promise, Verdict};

pub(super) fn judge(facts: &Facts, verdict: &mut Verdict) {
    let mut keys: BTreeMap<&Key, BTreeMap<u64, &Answer>> = BTreeMap::new();
    for answer in facts.first_answers() {
        let counts = keys.entry(&answer.key).or_default();
        if let Some(before) = counts.insert(answer.count, answer) {
            let text = format!("{} repeats the count of {}", answer.shown(), before.shown());
            verdict.broken(Promise::AllOrNothing, text);
        }
    }
    for (key, counts) in keys {
        let mut expected = 1;
        for &count in counts.keys() {
            if count != expected {
                let text = format!("{key}: after {} comes {count}", expected - 1);
                verdict.broken(Promise::AllOrNothing, text);
            }
            expected = count + 1;
        }
    }
    told(facts, verdict);
}

/// What the tally was told about a greeting is what the clerk noted of it.
fn told(facts: &Facts, verdict: &mut Verdict) {
    let noted: BTreeMap<usize, &Answer> = facts
        .first_answers()
        .filter(|answer| answer.key.bot == Bot::Clerk)
        .filter_map(|answer| Some((answer.to?, answer)))
        .collect();
    for answer in facts.first_answers() {
        let (Some(number), Some(at)) = (answer.number, answer.to) else {
            continue;
        };
        let note = noted.get(&at);
        if note.is_none_or(|note| note.count != number) {
            let noted = note.map(|note| note.shown()).unwrap_or_default();
            let text = format!(
                "{} was told number {number}, and the note is {noted:?}",
                answer.shown()
            );
            verdict.broken(Promise::AllOrNothing, text);
        }
    }
}

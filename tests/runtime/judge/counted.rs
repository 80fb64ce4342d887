//! P3: a turn's new state and its post belong together, so the counters of a key's answers are 1..n.
//!
//! A gap is a state without its post, a repeat a post without its state (or two turns at a time).

use std::collections::BTreeMap;

use super::facts::{Answer, Facts, Key};
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
    for ((app, team, user), counts) in keys {
        let mut expected = 1;
        for &count in counts.keys() {
            if count != expected {
                let text = format!("{app} {team} {user}: after {} comes {count}", expected - 1);
                verdict.broken(Promise::AllOrNothing, text);
            }
            expected = count + 1;
        }
    }
}

//! P2: per key, turns and answers are in the order of admission.
//!
//! From outside, admission is seen as far as it is certain: of two greetings delivered once each over one socket
//! the earlier came first, and what was acked before another was sent at all came first. What one clerk tells the
//! tally comes in the order of its notes.

use std::collections::BTreeMap;

use super::bots::{Bot, Key};
use super::facts::{Answer, Facts, Greeting};
use super::{Promise, Rules, Verdict};

pub(super) fn judge(facts: &Facts, rules: &Rules, verdict: &mut Verdict) {
    let mut last: BTreeMap<(&Key, &str), &Answer> = BTreeMap::new();
    let mut handled: BTreeMap<&Key, Vec<(u64, &Greeting)>> = BTreeMap::new();
    let mut told: BTreeMap<(&Key, &str), Vec<&Answer>> = BTreeMap::new();
    let has_its_place = |greeting: &&Greeting| {
        !rules
            .retried
            .is_some_and(|word| greeting.text.contains(word))
    };
    for answer in facts.first_answers() {
        let lane = (&answer.key, answer.channel.as_str());
        if let Some(before) = last.insert(lane, answer)
            && before.count > answer.count
        {
            let text = format!("{} was posted after {}", answer.shown(), before.shown());
            verdict.broken(Promise::InOrderPerKey, text);
        }
        let bot = answer.key.bot;
        if bot == Bot::Tally {
            let sender = (&answer.key, answer.channel.as_str());
            told.entry(sender).or_default().push(answer);
        } else if let Some(greeting) = answer
            .to
            .and_then(|at| facts.greetings.get(at))
            .filter(|greeting| bot.keeps_order() && has_its_place(greeting))
        {
            handled
                .entry(&answer.key)
                .or_default()
                .push((answer.count, greeting));
        }
    }
    for greetings in handled.values_mut() {
        greetings.sort_by_key(|(count, _)| *count);
        same_socket(greetings, verdict);
        owned_before_sent(greetings, verdict);
    }
    for answers in told.values_mut() {
        answers.sort_by_key(|answer| answer.count);
        as_noted(answers, verdict);
    }
}

/// What one clerk told the tally, in the order of the tally's counter.
fn as_noted(answers: &[&Answer], verdict: &mut Verdict) {
    for pair in answers.windows(2) {
        if let [before, after] = pair
            && before.number >= after.number
        {
            let text = format!(
                "{} counts note {:?} after {} counted note {:?}",
                after.shown(),
                after.number.unwrap_or_default(),
                before.shown(),
                before.number.unwrap_or_default()
            );
            verdict.broken(Promise::InOrderPerKey, text);
        }
    }
}

fn same_socket(greetings: &[(u64, &Greeting)], verdict: &mut Verdict) {
    let mut last: BTreeMap<u64, (u64, &Greeting)> = BTreeMap::new();
    for (_, greeting) in greetings {
        let [(n, socket)] = greeting.sent.as_slice() else {
            continue;
        };
        if let Some((before, other)) = last.insert(*socket, (*n, greeting))
            && before > *n
        {
            let text = format!(
                "{} was delivered before {} and handled after it",
                greeting.shown(),
                other.shown()
            );
            verdict.broken(Promise::InOrderPerKey, text);
        }
    }
}

fn owned_before_sent(greetings: &[(u64, &Greeting)], verdict: &mut Verdict) {
    // From the last handled to the first: whoever was handled later must not have been acked before this one was sent.
    let mut earliest: Option<(u64, &Greeting)> = None;
    for (_, greeting) in greetings.iter().rev() {
        let sent = greeting.sent.first().map_or(0, |(n, _)| *n);
        if let Some((acked, other)) = earliest
            && acked < sent
        {
            let text = format!(
                "{} was acked before {} was sent, and handled after it",
                other.shown(),
                greeting.shown()
            );
            verdict.broken(Promise::InOrderPerKey, text);
        }
        if let Some(acked) = greeting.acked
            && earliest.is_none_or(|(n, _)| acked < n)
        {
            earliest = Some((acked, greeting));
        }
    }
}

//! P4: each event is answered once, by one post, in the place where it happened and by the counter it belongs to.

use std::collections::HashMap;

use super::bots::Bot;
use super::facts::{Answer, Facts};
use super::{Promise, Rules, Verdict};

pub(super) fn judge(facts: &Facts, rules: &Rules, verdict: &mut Verdict) {
    let mut of_effect: HashMap<&str, &Answer> = HashMap::new();
    let mut of_greeting: HashMap<(Bot, usize), &Answer> = HashMap::new();
    for answer in &facts.answers {
        if answer.effect.is_empty() {
            let text = format!("{} carries no effect in its metadata", answer.shown());
            verdict.broken(Promise::HandledOnce, text);
            continue;
        }
        if let Some(before) = of_effect.insert(&answer.effect, answer) {
            doubled(before, answer, facts, rules, verdict);
            continue;
        }
        let Some(at) = answer.to else {
            let text = format!("{} answers nothing that a person wrote", answer.shown());
            verdict.broken(Promise::HandledOnce, text);
            continue;
        };
        if let Some(before) = of_greeting.insert((answer.key.bot, at), answer) {
            let text = format!(
                "{} is answered twice: by {} and by {}",
                facts.greetings[at].shown(),
                before.shown(),
                answer.shown()
            );
            verdict.broken(Promise::HandledOnce, text);
        }
        in_its_place(answer, at, facts, verdict);
    }
}

/// The same post, made again: only a kill excuses it.
fn doubled(before: &Answer, answer: &Answer, facts: &Facts, rules: &Rules, verdict: &mut Verdict) {
    let lane = (
        answer.key.app.clone(),
        answer.key.team.clone(),
        answer.channel.clone(),
    );
    match excuse((before.n, answer.n), &lane, facts, rules) {
        Ok(()) => verdict.doubled_by_kills += 1,
        Err(why) => {
            let text = format!("{} repeats {}: {why}", answer.shown(), before.shown());
            verdict.broken(Promise::HandledOnce, text);
        }
    }
}

/// Whether a kill, or the loss of an answer, excuses the second of two equal posts in a lane (app, workspace,
/// channel), and why not.
pub(super) fn excuse(
    (first, second): (u64, u64),
    lane: &(String, String, String),
    facts: &Facts,
    rules: &Rules,
) -> Result<(), &'static str> {
    if let Some(most) = rules.found_within {
        let is_buried = lane.2.is_empty() || facts.said_between(lane, (first, second)) >= most;
        return is_buried
            .then_some(())
            .ok_or("it could have been found where it was made");
    }
    let mut rebirths = facts.rebirths.get(&lane.0).into_iter().flatten();
    let Some(rebirth) = rebirths.find(|n| first < **n && **n < second) else {
        return Err("no kill lies between them");
    };
    // A lane goes on only when the note of its last post is durable: then no kill excuses a second one.
    let is_between = |n: u64| first < n && n < *rebirth;
    if facts
        .posts
        .iter()
        .any(|post| is_between(post.n) && post.lane == *lane)
    {
        return Err("a kill lies between them, but its lane had gone on before it");
    }
    if rules.are_kills_declared {
        Ok(())
    } else {
        Err("a kill lies between them, and none was declared")
    }
}

fn in_its_place(answer: &Answer, at: usize, facts: &Facts, verdict: &mut Verdict) {
    let greeting = &facts.greetings[at];
    let bot = answer.key.bot;
    if answer.key != bot.key_of(greeting) || answer.user != greeting.user {
        let text = format!(
            "{} answers {} of another key",
            answer.shown(),
            greeting.shown()
        );
        verdict.broken(Promise::HandledOnce, text);
    }
    if answer.channel != greeting.channel {
        let text = format!(
            "{} answers {} in another channel",
            answer.shown(),
            greeting.shown()
        );
        verdict.broken(Promise::HandledOnce, text);
    }
    if answer.thread_ts.as_ref() != bot.thread_of(greeting) {
        let text = format!(
            "{} answers {} in thread {:?} instead of {:?}",
            answer.shown(),
            greeting.shown(),
            answer.thread_ts,
            bot.thread_of(greeting)
        );
        verdict.broken(Promise::HandledOnce, text);
    }
}

//! P4: each event is answered once, by one post, in the place where it happened and by the counter it belongs to.

use std::collections::HashMap;

use super::bots::Bot;
use super::facts::{Answer, Facts, Look};
use super::{Promise, Rules, Verdict};

pub(super) fn judge(facts: &Facts, verdict: &mut Verdict) {
    let mut of_effect: HashMap<&str, &Answer> = HashMap::new();
    let mut of_greeting: HashMap<(Bot, usize), &Answer> = HashMap::new();
    for answer in &facts.answers {
        if answer.effect.is_empty() {
            let text = format!("{} carries no effect in its metadata", answer.shown());
            verdict.broken(Promise::HandledOnce, text);
            continue;
        }
        if let Some(before) = of_effect.insert(&answer.effect, answer) {
            doubled(before, answer, facts, verdict);
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

/// The same post, made again. No kill excuses that, since a post can be looked for; why this one was not found.
fn doubled(before: &Answer, answer: &Answer, facts: &Facts, verdict: &mut Verdict) {
    let lane = (
        answer.key.app.clone(),
        answer.key.team.clone(),
        answer.channel.clone(),
    );
    let place = (&lane, answer.thread_ts.as_deref());
    let why = blame((before.n, answer.n), place, facts);
    let text = format!("{} repeats {}: {why}", answer.shown(), before.shown());
    verdict.broken(Promise::HandledOnce, text);
}

/// A lane: app, workspace, channel.
type Lane = (String, String, String);

/// Whether a kill excuses the second of two equal calls that nobody can look for, and why not.
pub(super) fn excuse(
    (first, second): (u64, u64),
    app: &str,
    facts: &Facts,
    rules: &Rules,
) -> Result<(), &'static str> {
    if rules.are_answers_lost {
        return Ok(());
    }
    if rebirth((first, second), app, facts).is_none() {
        return Err("no kill lies between them");
    }
    if rules.are_kills_declared {
        Ok(())
    } else {
        Err("a kill lies between them, and none was declared")
    }
}

fn rebirth((first, second): (u64, u64), app: &str, facts: &Facts) -> Option<u64> {
    let mut rebirths = facts.rebirths.get(app).into_iter().flatten().copied();
    rebirths.find(|n| first < *n && *n < second)
}

/// Whose fault it is that a post was made twice in this lane and thread.
pub(super) fn blame(
    (first, second): (u64, u64),
    (lane, thread_ts): (&Lane, Option<&str>),
    facts: &Facts,
) -> &'static str {
    let Some(rebirth) = rebirth((first, second), &lane.0, facts) else {
        // Or Slack got the first from a process that was dead by then, and had been asked for it before.
        return "no kill lies between them";
    };
    // A lane goes on only when the note of its last post is durable: then nothing is to be looked for.
    let mut posts = facts.posts.iter().filter(|post| post.lane == *lane);
    if posts.any(|post| first < post.n && post.n < rebirth) {
        return "a kill lies between them, but its lane had gone on before it";
    }
    let of_it = |look: &&Look| look.lane == *lane && look.thread_ts.as_deref() == thread_ts;
    let mut looks = facts.looks.iter().filter(of_it);
    if looks.any(|look| rebirth < look.n && look.n < second) {
        "a kill lies between them, and it was looked for and not found"
    } else {
        "a kill lies between them, and it was not looked for"
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

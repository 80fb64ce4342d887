//! P4: each event is answered once, by one post, in the place where it happened and by the counter it belongs to.

use std::collections::HashMap;

use super::facts::{Answer, Facts};
use super::{Promise, Rules, Verdict};

pub(super) fn judge(facts: &Facts, rules: &Rules, verdict: &mut Verdict) {
    let mut of_effect: HashMap<&str, &Answer> = HashMap::new();
    let mut of_greeting: HashMap<usize, &Answer> = HashMap::new();
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
        if let Some(before) = of_greeting.insert(at, answer) {
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
    let rebirths = facts.rebirths.get(&answer.key.0);
    let rebirth = rebirths
        .into_iter()
        .flatten()
        .find(|n| before.n < **n && **n < answer.n);
    let lane = (&answer.key.0, &answer.key.1, &answer.channel);
    // A lane goes on only when the note of its last post is durable: then no kill excuses a second one.
    let has_gone_on = rebirth.is_some_and(|rebirth| {
        facts.posts.iter().any(|post| {
            before.n < post.n
                && post.n < *rebirth
                && (&post.lane.0, &post.lane.1, &post.lane.2) == lane
        })
    });
    if rules.are_kills_declared && rebirth.is_some() && !has_gone_on {
        verdict.doubled_by_kills += 1;
        return;
    }
    let why = match (rebirth, has_gone_on) {
        (None, _) => "no kill lies between them",
        (Some(_), true) => "a kill lies between them, but its lane had gone on before it",
        (Some(_), false) => "a kill lies between them, and none was declared",
    };
    let text = format!("{} repeats {}: {why}", answer.shown(), before.shown());
    verdict.broken(Promise::HandledOnce, text);
}

fn in_its_place(answer: &Answer, at: usize, facts: &Facts, verdict: &mut Verdict) {
    let greeting = &facts.greetings[at];
    if answer.key != greeting.key {
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
    if answer.thread_ts != greeting.thread_ts {
        let text = format!(
            "{} answers {} in thread {:?} instead of {:?}",
            answer.shown(),
            greeting.shown(),
            answer.thread_ts,
            greeting.thread_ts
        );
        verdict.broken(Promise::HandledOnce, text);
    }
}

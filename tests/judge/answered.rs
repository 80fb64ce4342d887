//! P1: what was acked (over RTM: delivered on a socket that did not break) is answered, by every bot that it asks.

use std::collections::HashSet;

use super::bots::Bot;
use super::facts::{Facts, Greeting};
use super::{Buried, Promise, Rules, Verdict};

pub(super) fn judge(facts: &Facts, rules: &Rules, buried: &[Buried], verdict: &mut Verdict) {
    let buried: HashSet<(Bot, usize)> = buried.iter().flat_map(|it| facts.buried(it)).collect();
    let answered: HashSet<(Bot, usize)> = facts
        .answers
        .iter()
        .filter_map(|answer| Some((answer.key.bot, answer.to?)))
        .collect();
    verdict.answered = answered.len();
    for (bot, at) in answered.intersection(&buried) {
        let greeting = facts.greetings[*at].shown();
        let text = format!("{greeting} was given up by {bot:?}, and is answered");
        verdict.broken(Promise::AllOrNothing, text);
    }
    for (at, greeting) in facts.greetings.iter().enumerate() {
        for &bot in rules.bots {
            if bot.is_asked_by(&greeting.text) {
                let is_answered = answered.contains(&(bot, at));
                if !is_answered && buried.contains(&(bot, at)) {
                    continue;
                }
                by(bot, greeting, is_answered, rules, verdict);
            }
        }
    }
}

fn by(bot: Bot, greeting: &Greeting, is_answered: bool, rules: &Rules, verdict: &mut Verdict) {
    let mut given_up = rules.given_up.iter();
    if given_up.any(|(other, word)| *other == bot && greeting.text.contains(word)) {
        if is_answered {
            let text = format!(
                "{} was to be given up, and is answered by {bot:?}",
                greeting.shown()
            );
            verdict.broken(Promise::AllOrNothing, text);
        }
        return;
    }
    verdict.owned += usize::from(greeting.is_owned());
    if greeting.is_owned() && !is_answered {
        let how = match greeting.acked {
            Some(n) => format!("acked as entry {n}"),
            None => "delivered".to_owned(),
        };
        let text = format!(
            "{} was {how} and never answered by {bot:?}",
            greeting.shown()
        );
        verdict.broken(Promise::AckedImpliesHandled, text);
    }
}

//! P1: what was acked (over RTM: delivered on a socket that did not break) is answered.

use std::collections::HashSet;

use super::facts::Facts;
use super::{Promise, Rules, Verdict};

pub(super) fn judge(facts: &Facts, rules: &Rules, verdict: &mut Verdict) {
    let answered: HashSet<usize> = facts
        .answers
        .iter()
        .filter_map(|answer| answer.to)
        .collect();
    verdict.answered = answered.len();
    for (at, greeting) in facts.greetings.iter().enumerate() {
        let is_given_up = rules
            .given_up_word
            .is_some_and(|word| greeting.text.contains(word));
        let is_answered = answered.contains(&at);
        if is_given_up {
            if is_answered {
                let text = format!("{} was to be given up, and is answered", greeting.shown());
                verdict.broken(Promise::AllOrNothing, text);
            }
            continue;
        }
        verdict.owned += usize::from(greeting.is_owned());
        if greeting.is_owned() && !is_answered {
            let how = match greeting.acked {
                Some(n) => format!("acked as entry {n}"),
                None => "delivered".to_owned(),
            };
            let text = format!("{} was {how} and never answered", greeting.shown());
            verdict.broken(Promise::AckedImpliesHandled, text);
        }
    }
}

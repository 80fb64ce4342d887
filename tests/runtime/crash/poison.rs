//! Poison: a delivery that ends the process whenever it runs.

use std::time::Duration;

use callboard::base::clock::Clock;
use callboard::base::limits::POISON_DEATHS_MAX;
use callboard::base::rng::Rng;
use callboard::sim::What;

use super::{LIFE_WITHIN, hasty, mix, program, quiesce, somebody_greets};
use crate::judge::{Bot, Record, Rules, judge};
use crate::sentinel;
use crate::stand::Stand;

/// What others write meanwhile.
const GREETINGS: usize = 100;

const RULES: Rules = Rules {
    given_up: &[(Bot::Canary, "poison")],
    ..mix::RULES
};

/// Whether Slack was told that the poison is ours.
fn is_owned(stand: &mut Stand) -> bool {
    let record = stand.record();
    let poison = record.iter().find_map(|entry| match &entry.what {
        What::EnvelopeSent {
            envelope_id,
            subject,
            ..
        } if subject.text.contains("poison") => Some(envelope_id),
        _ => None,
    });
    let is_its_ack =
        |what: &What| matches!(what, What::Ack { envelope_id, .. } if Some(envelope_id) == poison);
    record.iter().any(|entry| is_its_ack(&entry.what))
}

#[test]
fn rule_7_poison_is_a_dead_letter_after_the_third_death_and_everything_else_goes_on() {
    let (mut stand, mut rng) = (hasty(7), Rng::seeded(7));
    let mut program = mix::start(&stand);
    stand.says(0, 0, "canary");
    stand.says(0, 1, "hello canary");
    // Its other bots handle it.
    stand.says(0, 0, "hello canary, here is poison");
    stand.says(0, 0, "canary");
    let user = stand.places[0].users[0].clone();
    let second_song = format!("Canary <@{user}> sang 2");
    let (clock, mut deaths, mut written) = (Clock::system(), 0, 0);
    let begun = clock.now();
    while !stand.posts().contains(&second_song) {
        assert!(clock.now() - begun < 3 * LIFE_WITHIN, "{}", program.told());
        if !program.is_alive() {
            deaths += u32::from(is_owned(&mut stand));
            program = mix::start(&stand);
        }
        if written < GREETINGS {
            somebody_greets(&stand, &mut rng, "hello");
            written += 1;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    assert_eq!(deaths, POISON_DEATHS_MAX, "{}", program.told());
    quiesce(&mut stand, &program, &RULES);
    assert_eq!(program.stop(), Some(0), "everything was settled");
    judge(&Record::of(stand.record()), &RULES).assert_kept();

    let dead = stand.dead();
    let [letter] = dead.as_slice() else {
        panic!("one dead letter, not {dead:?}");
    };
    assert!(letter.key.starts_with("canary/acme/"), "{letter:?}");
    assert!(letter.key.ends_with(user.as_str()), "{letter:?}");
    let error = format!("the process ended {POISON_DEATHS_MAX} times while it ran");
    assert_eq!(letter.error, error);
    assert!(letter.body.contains("here is poison"), "{letter:?}");
    let expected = ["a delivery is given up and kept as a dead letter"];
    let faults = sentinel::faults(&program::logged(&stand), &expected);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

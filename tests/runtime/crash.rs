//! The program killed under load, again and again, on one store.
//!
//! A life begins with the program's start, goes on under load until a seeded number of acks was seen, and ends with
//! SIGKILL a seeded moment later. After the last one the program is left in peace, and the judge decides.
//!
//! `CALLBOARD_CRASH_ROUNDS` says how many lives there are, `CALLBOARD_CRASH_SEED` repeats the plan of an earlier run
//! (who writes what when, and when the kills come; the scheduling of threads is the machine's).
mod program;

use std::time::Duration;

use callboard::base::clock::Clock;
use callboard::base::rng::Rng;
use callboard::config::{Environment, SystemEnvironment};
use callboard::sim::{Options, What};

use crate::judge::{Record, Rules, judge};
use crate::sentinel;
use crate::stand::{Stand, stand_with, until};
use program::Program;

/// Lives of the program, unless the environment says otherwise.
const ROUNDS: u64 = 20;

/// The longest time a life may take to see its acks.
const LIFE_WITHIN: Duration = Duration::from_secs(20);

/// What the environment says about `name`, if it says a number.
fn number(name: &str) -> Option<u64> {
    let text = SystemEnvironment.get(name)?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is {text:?}, and must be a number")),
    )
}

/// Somebody writes somewhere.
fn somebody_writes(stand: &Stand, rng: &mut Rng) {
    let pick = |rng: &mut Rng, below: u64| usize::try_from(rng.below(below)).unwrap();
    let (place, user) = (pick(rng, 3), pick(rng, 5));
    let channel = match rng.below(4) {
        0 => stand.places[place].random.clone(),
        _ => stand.places[place].general.clone(),
    };
    stand.says_in(place, user, "hello", &channel, None);
}

/// How many acks Slack has seen.
fn acks(stand: &mut Stand) -> usize {
    let is_ack = |what: &What| matches!(what, What::Ack { .. });
    let record = stand.record();
    record.iter().filter(|entry| is_ack(&entry.what)).count()
}

/// One life under load, to its kill.
fn live_and_die(stand: &mut Stand, rng: &mut Rng) {
    let (before, wanted) = (acks(stand), usize::try_from(1 + rng.below(60)).unwrap());
    let more = Duration::from_micros(rng.below(30_000));
    let program = Program::start(stand);
    let clock = Clock::system();
    let begun = clock.now();
    while acks(stand) < before + wanted {
        assert!(clock.now() - begun < LIFE_WITHIN, "{}", program.told());
        somebody_writes(stand, rng);
        std::thread::park_timeout(rng.up_to(Duration::from_millis(8)));
    }
    let seen = clock.now();
    while clock.now() - seen < more {
        somebody_writes(stand, rng);
        std::thread::park_timeout(rng.up_to(Duration::from_millis(2)));
    }
    program.kill();
    for _ in 0..rng.below(5) {
        somebody_writes(stand, rng);
    }
}

/// Waits until Slack owes nothing more, and everything owned is answered.
fn quiesce(stand: &mut Stand, program: &Program) {
    until("Slack owes no envelope any more", || {
        let mut open = std::collections::HashSet::new();
        for entry in stand.record() {
            match &entry.what {
                What::EnvelopeSent { envelope_id, .. }
                | What::EnvelopeUnsent { envelope_id, .. } => {
                    open.insert(envelope_id.as_str());
                }
                What::Ack { envelope_id, .. } | What::EnvelopeGivenUp { envelope_id, .. } => {
                    open.remove(envelope_id.as_str());
                }
                _ => {}
            }
        }
        open.is_empty()
    });
    let clock = Clock::system();
    let begun = clock.now();
    // The judge names what is missing; here it only gets its time.
    while clock.now() - begun < Duration::from_secs(10) {
        let verdict = judge(&Record::of(stand.record()), &RULES);
        if verdict.violations.is_empty() {
            return;
        }
        assert!(program.is_alive(), "{}", program.told());
        std::thread::park_timeout(Duration::from_millis(200));
    }
}

const RULES: Rules = Rules {
    are_kills_declared: true,
    ..Rules::GREETER
};

#[test]
#[expect(
    clippy::print_stdout,
    reason = "whoever sees it fail must be able to repeat it"
)]
fn what_was_acked_is_handled_once_and_in_order_through_any_number_of_kills() {
    let seed = number("CALLBOARD_CRASH_SEED").unwrap_or_else(|| Rng::from_system().next_u64());
    let rounds = number("CALLBOARD_CRASH_ROUNDS").unwrap_or(ROUNDS);
    println!("CALLBOARD_CRASH_SEED={seed} CALLBOARD_CRASH_ROUNDS={rounds}");
    let mut stand = stand_with(Options {
        time_scale: 60.0,
        seed: Some(seed),
        ..Options::default()
    });
    let mut rng = Rng::seeded(seed);
    for _ in 0..rounds {
        live_and_die(&mut stand, &mut rng);
    }
    let program = Program::start(&stand);
    quiesce(&mut stand, &program);
    let code = program.stop();
    let verdict = judge(&Record::of(stand.record()), &RULES);
    println!(
        "{} greetings owned, {} answered, {} posts doubled by a kill",
        verdict.owned, verdict.answered, verdict.doubled_by_kills
    );
    verdict.assert_kept();
    assert_eq!(code, Some(0), "everything was settled");
    assert!(verdict.answered > usize::try_from(rounds).unwrap());
    let faults = sentinel::faults(&program::logged(&stand), &[]);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

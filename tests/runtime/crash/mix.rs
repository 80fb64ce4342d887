//! The mix: several bots for each event, one of them telling another; slash commands with answers and jobs; turns that
//! fail, panic or take their time before they succeed.
//!
//! Its program is this test binary, started once more to host the bots instead of testing them.

use std::path::Path;
use std::process::ExitCode;

use callboard::base::rng::Rng;
use callboard::config::{Environment, SystemEnvironment, load};
use callboard::prelude::*;

use super::program::Program;
use super::{Play, hasty, pick, quiesce, somebody_greets};
use crate::bots::{Canary, Clerk, Greeter, Report, Tally};
use crate::judge::{Bot, Record, Rules, judge};
use crate::stand::Stand;

/// Lives of the mix, unless the environment says otherwise.
const ROUNDS: u64 = 40;

/// Where the configuration is, for a process that is to host the mix.
const VARIABLE: &str = "CALLBOARD_TEST_HOSTS_MIX";

/// The test that hosts the mix when it is asked to.
const HOST: &str = "crash::mix::the_mix_answers_in_a_process_of_its_own_and_stops_when_it_is_told";

/// Every bot of the mix, and kills.
pub(super) const RULES: Rules = Rules {
    bots: &[Bot::Greeter, Bot::Clerk, Bot::Tally, Bot::Canary],
    ..super::RULES
};

/// One life of the mix.
pub(super) fn start(stand: &Stand) -> Program {
    Program::start_self(stand, HOST, VARIABLE)
}

fn host(config: &Path) -> ExitCode {
    let config = load(config, &SystemEnvironment).unwrap();
    Callboard::from_config(config)
        .handler::<Greeter>()
        .handler::<Clerk>()
        .handler::<Tally>()
        .handler::<Canary>()
        .handler::<Report>()
        .run()
}

#[test]
fn the_mix_answers_in_a_process_of_its_own_and_stops_when_it_is_told() -> ExitCode {
    if let Some(config) = SystemEnvironment.get(VARIABLE) {
        return host(Path::new(&config));
    }
    let mut stand = hasty(1);
    let program = start(&stand);
    for n in 0..12 {
        stand.says(n % 2, n % 5, "hello canary");
    }
    stand.answered(12);
    stand.runs(0, "/greeted", "");
    stand.runs(1, "/report", "fish");
    quiesce(&mut stand, &program, &RULES);
    assert_eq!(program.stop(), Some(0), "everything was settled");
    let verdict = judge(&Record::of(stand.record()), &RULES);
    verdict.assert_kept();
    assert_eq!(verdict.answered, 12 * RULES.bots.len());
    assert_eq!(verdict.commands_answered, 2);
    ExitCode::SUCCESS
}

/// Somebody writes, or runs a command, and it may go wrong at first.
fn somebody_acts(stand: &Stand, rng: &mut Rng) {
    match rng.below(24) {
        0 => somebody_greets(stand, rng, "hello fails=1"),
        1 => somebody_greets(stand, rng, "hello clerk-fails=1"),
        2 => somebody_greets(stand, rng, "hello panics=1"),
        3 => somebody_greets(stand, rng, "hello canary naps=20"),
        4 => run(stand, rng, "/greeted", ""),
        5 => run(stand, rng, "/greeted", "please fails=1"),
        6 => {
            let topic = format!("topic-{}", rng.below(1_000_000));
            run(stand, rng, "/report", &topic);
        }
        7 => {
            let topic = format!("topic-{} naps=10", rng.below(1_000_000));
            run(stand, rng, "/report", &topic);
        }
        _ => somebody_greets(stand, rng, "hello"),
    }
}

fn run(stand: &Stand, rng: &mut Rng, command: &str, text: &str) {
    let (place, user) = (pick(rng, 2), pick(rng, 5));
    stand.runs_in(place, user, command, text);
}

#[test]
fn a_mix_of_bots_that_fail_tell_and_answer_keeps_every_promise_through_any_number_of_kills() {
    let play = Play {
        rounds: ROUNDS,
        start,
        write: somebody_acts,
        rules: RULES,
    };
    assert!(play.play().commands_answered > 0);
}

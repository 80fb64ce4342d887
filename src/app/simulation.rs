//! The whole runtime in virtual time: real dispatch, store logic, handlers and outbox on one thread under a paused
//! clock, against the simulated Slack's logic, with faults that a seed decides. The process dies at any step, many
//! times; what was durable is there when it comes back.
//!
//! `cargo test --lib simulation` plays a fixed set of seeds. A seed that fails names itself, and
//! `CALLBOARD_SEED=n cargo test --lib simulation::one_seed -- --nocapture` plays it again, step by step, and tells.
//! `CALLBOARD_SEEDS=10000 cargo test --lib simulation::many_seeds` is the long form; `CALLBOARD_SEED` is where it
//! begins.
//!
//! Two look on. The judge in `tests/judge`, which the end-to-end and crash tests share, decides the promises from
//! Slack's record alone; the `invariants` see the store and the process, at every step.
//!
//! What is not in here: threads, real sockets and files (the end-to-end and crash tests have them), RTM, and the connections' own logic of reconnecting.
mod bots;
mod invariants;
#[path = "../../tests/judge/judge.rs"]
mod judge;
mod life;
mod outside;
mod plan;

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::sync::{Arc, Once};
use std::time::Duration;

use judge::{Bot, Rules};
use life::{Ending, live};
use outside::{Outside, Sabotage, World};

use crate::base::rng::Rng;
use crate::config::{Environment, SystemEnvironment};
use crate::dispatch::router::Router;
use crate::sim::Entry;

/// The seeds that every run of the tests plays.
const SEEDS: std::ops::Range<u64> = 0..20;

/// Lives after which a world that does not come to rest is given up.
const LIVES_MAX: usize = 120;

/// Seeds that are played until something broken on purpose must have been seen.
const SABOTAGED_MAX: u64 = 60;

/// Seeds after which it is told how far it is.
const TOLD_EVERY: usize = 100;

/// Violations of one seed that are told.
const SHOWN_MAX: usize = 8;

/// Seeds that fail before no more are played.
const FAILED_MAX: usize = 5;

/// What the judge lets pass here.
const RULES: Rules = Rules {
    bots: &[Bot::Greeter, Bot::Clerk, Bot::Tally, Bot::Sider, Bot::Relay],
    are_kills_declared: true,
    // The invariants know when the process was there to ack in time.
    are_late_acks_declared: true,
    are_answers_lost: true,
    retried: Some("ails "),
    given_up: &[
        (Bot::Greeter, "dies"),
        (Bot::Greeter, "kills"),
        (Bot::Sider, "dies"),
        (Bot::Sider, "kills"),
    ],
};

thread_local! {
    static SEED: Cell<Option<u64>> = const { Cell::new(None) };
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Says something to whoever watches, also when the test's output is kept back.
fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").ok();
}

fn command(seed: u64) -> String {
    format!("CALLBOARD_SEED={seed} cargo test --lib simulation::one_seed -- --nocapture")
}

/// Panics that are asked for are silent; any other is a violation, even where it is caught, and some end the
/// whole process: so it is said at once how to see it again.
fn mind_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let Some(seed) = SEED.get() else {
                return usual(info);
            };
            let text = info.to_string();
            if !text.contains(bots::ASKED_TO_PANIC) {
                say(&format!(
                    "seed {seed} panics: {text}\nagain: {}",
                    command(seed)
                ));
                PANICS.with_borrow_mut(|panics| panics.push(text));
            }
        }));
    });
}

/// What came of a seed.
#[derive(Default)]
struct Played {
    violations: Vec<String>,
    /// Slack's record.
    record: Vec<Arc<Entry>>,
    counted: Counted,
}

/// How much happened, so that nobody takes silence for success.
#[derive(Debug, Default)]
struct Counted {
    seeds: usize,
    lives: usize,
    /// Answers to messages that were owed, and all given.
    owed: usize,
    /// Slash commands that were answered.
    commands: usize,
    /// Deliveries that were given up.
    given_up: usize,
    /// Those that an operator brought back.
    retried: usize,
    /// Posts made twice, each with an excuse.
    doubled: usize,
}

impl Counted {
    fn add(&mut self, other: &Self) {
        self.lives += other.lives;
        self.owed += other.owed;
        self.commands += other.commands;
        self.given_up += other.given_up;
        self.retried += other.retried;
        self.doubled += other.doubled;
    }
}

/// Plays one seed.
fn play(seed: u64, is_told: bool, sabotage: Option<Sabotage>) -> Played {
    mind_panics();
    SEED.set(Some(seed));
    PANICS.with_borrow_mut(Vec::clear);
    Rng::seed_this_thread(seed);
    let outside = Outside::new(seed, is_told);
    outside.with(|world| {
        world.sabotage = sabotage;
        let plan = world.plan.clone();
        world.tell(|| format!("{plan:?}"));
    });
    bots::watch(&outside);
    live_through(&outside, &Arc::new(Router::new(bots::all()).unwrap()));
    let mut played = outside.with(judged);
    SEED.set(None);
    let panics = PANICS.take().into_iter();
    let panics = panics.map(|text| format!("panicked: {text}"));
    played.violations.splice(0..0, panics);
    played
}

/// The lives of a world, until it comes to rest.
fn live_through(outside: &Outside, router: &Arc<Router>) {
    for _ in 0..outside.with(|world| world.plan.lives) {
        let ending = outside.with(|world| match world.rng.below(5) {
            0 => Ending::Stop(Duration::from_millis(world.rng.below(8000))),
            1 => Ending::Steps(world.rng.below(20)),
            2 | 3 => Ending::Steps(world.rng.below(200)),
            _ => Ending::Steps(world.rng.below(1000)),
        });
        live(outside, router, ending);
    }
    outside.with(|world| world.plan.calm());
    while !live(outside, router, Ending::Rest) {
        let is_over = outside.with(|world| {
            if world.lives.len() > LIVES_MAX {
                world.violate("it does not come to rest".to_owned());
            }
            // People go home, so that what is left comes to its end.
            (world.plan.acts, world.plan.burst) = (0, 0);
            !world.violations.is_empty()
        });
        if is_over {
            break;
        }
    }
}

/// The world at its end, by the invariants and by the judge.
fn judged(world: &mut World) -> Played {
    let record = world.slack.record_since(0);
    let entries: Vec<Entry> = record.iter().map(|entry| (**entry).clone()).collect();
    let buried = invariants::check(world, &entries);
    let verdict = judge::judge_without(&judge::Record::of(&entries), &RULES, &buried);
    for violation in verdict.violations {
        world.violate(violation.to_string());
    }
    Played {
        violations: world.violations.iter().cloned().collect(),
        record,
        counted: Counted {
            seeds: 0,
            lives: world.lives.len(),
            owed: verdict.owned,
            commands: verdict.commands_answered,
            given_up: buried.len(),
            retried: world.journal.returned.len(),
            doubled: verdict.doubled_by_kills,
        },
    }
}

/// Plays seeds until their end; the first few that fail are told.
fn play_all(seeds: impl Iterator<Item = u64>) -> Counted {
    let mut failed = Vec::new();
    let mut counted = Counted::default();
    for seed in seeds {
        let played = play(seed, false, None);
        counted.add(&played.counted);
        counted.seeds += 1;
        if counted.seeds.is_multiple_of(TOLD_EVERY) {
            say(&format!("up to seed {seed}: {counted:?}"));
        }
        let violations = played.violations;
        if !violations.is_empty() {
            let shown = violations.len().min(SHOWN_MAX);
            let text = violations[..shown].join("\n");
            let told = format!("seed {seed}:\n{text}\nagain: {}", command(seed));
            // At once: who plays many may not wait for the end.
            say(&told);
            failed.push(told);
        }
        if failed.len() >= FAILED_MAX {
            break;
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
    counted
}

fn number_in(variable: &str) -> Option<u64> {
    SystemEnvironment.get(variable)?.trim().parse().ok()
}

/// Every promise holds in every one of these worlds, whatever their seeds do to the process.
#[test]
fn many_seeds() {
    let from = number_in("CALLBOARD_SEED").unwrap_or_default();
    let seeds = number_in("CALLBOARD_SEEDS").map_or(SEEDS, |count| from..from + count);
    let counted = play_all(seeds);
    say(&format!("{counted:?}"));
    assert!(counted.owed > 10, "something happens: {counted:?}");
}

/// The world of `CALLBOARD_SEED`, told step by step; without it the first.
#[test]
fn one_seed() {
    let seed = number_in("CALLBOARD_SEED");
    if SystemEnvironment.get("CALLBOARD_LOG").is_some() {
        super::init_logging(&SystemEnvironment);
    }
    let violations = play(seed.unwrap_or_default(), seed.is_some(), None).violations;
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

/// The same seed plays the same world: else a failing one could not be seen again.
#[test]
fn a_seed_repeats_itself() {
    let record = |seed| play(seed, false, None).record;
    for seed in [3, 7] {
        let first = record(seed);
        assert!(first.len() > 10, "something happens");
        assert_eq!(first, record(seed), "seed {seed}");
    }
}

/// What breaks a promise is caught: else the silence would mean nothing. `P1 acked ..` are the judge's words, who sees
/// Slack's record alone; `P1: ..` are those of an invariant, at the step or at rest.
#[test]
fn what_is_broken_on_purpose_is_seen() {
    for (sabotage, promises) in [
        (Sabotage::Batches, ["P1 acked", "P1: "].as_slice()),
        (Sabotage::Marks, &["P4 handled", "P4: "]),
        (Sabotage::States, &["P3 all", "P3: "]),
        (Sabotage::Rows, &["P2 in order", "P2: "]),
        (Sabotage::Effects, &["P1 acked", "P1: "]),
        (Sabotage::Posts, &["P4 handled"]),
        (Sabotage::Haste, &["P1 acked", "P1: ", "P3: "]),
    ] {
        let mut unseen = promises.to_vec();
        for seed in 0..SABOTAGED_MAX {
            let violations = play(seed, false, Some(sabotage)).violations;
            unseen.retain(|promise| !violations.iter().any(|text| text.starts_with(promise)));
            if unseen.is_empty() {
                break;
            }
        }
        assert!(unseen.is_empty(), "{sabotage:?}: nobody saw {unseen:?}");
    }
}

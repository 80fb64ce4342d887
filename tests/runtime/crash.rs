//! A program killed under load, again and again, on one store.
//!
//! A life begins with the program's start, goes on under load until a seeded number of acks was seen, and ends with
//! SIGKILL a seeded moment later. Every third one settles first what it was left. After the last one the program is left in peace, and the judge decides.
//!
//! There are two programs: the real binary with its bots, and the [`mix`] of the tests' own bots, which go wrong.
//! `CALLBOARD_CRASH_ROUNDS` says how many lives each has, `CALLBOARD_CRASH_SEED` repeats the plan of an earlier run
//! (who writes what when, and when the kills come; the scheduling of threads is the machine's).
mod looking;
mod mix;
mod poison;
pub(crate) mod program;

use std::collections::HashSet;
use std::time::Duration;

use callboard::base::clock::Clock;
use callboard::base::limits::POISON_DEATHS_MAX;
use callboard::base::rng::Rng;
use callboard::config::{Environment, SystemEnvironment};
use callboard::sim::{Options, What};

use crate::judge::{Buried, Record, Rules, Verdict, judge, judge_without};
use crate::sentinel;
use crate::stand::{Dead, Stand, stand_with, until};
use program::Program;

/// Lives of the real binary, unless the environment says otherwise.
const ROUNDS: u64 = 20;

/// The longest time a life may take to see its acks: a disk that others keep busy was seen to hold a first commit up for
/// more than 20 s.
const LIFE_WITHIN: Duration = Duration::from_mins(2);

/// Every so many lives one may settle what it was left before it is killed: a delivery that is hit by three kills in a
/// row looks like poison.
const CALM_EVERY: u64 = 3;

/// How long nothing at all happens once everything is settled: longer than a first retry waits.
const CALM: Duration = Duration::from_millis(500);

/// How long nothing at all must happen before what is missing is missing for good.
const QUIET: Duration = Duration::from_secs(30);

/// Kills; and a machine that is busy with other tests may hold a disk up for longer than an ack may take.
const RULES: Rules = Rules {
    are_kills_declared: true,
    are_late_acks_declared: true,
    ..Rules::GREETER
};

/// What is killed, under what load, and how it is judged.
struct Play {
    rounds: u64,
    start: fn(&Stand) -> Program,
    /// Somebody writes something somewhere.
    write: fn(&Stand, &mut Rng),
    rules: Rules,
}

/// What the environment says about `name`, if it says a number.
fn number(name: &str) -> Option<u64> {
    let text = SystemEnvironment.get(name)?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is {text:?}, and must be a number")),
    )
}

/// A number below `below`.
fn pick(rng: &mut Rng, below: u64) -> usize {
    usize::try_from(rng.below(below)).unwrap()
}

/// With a ladder of redeliveries that is 60 times as fast as Slack's.
fn hasty(seed: u64) -> Stand {
    stand_with(Options {
        time_scale: 60.0,
        seed: Some(seed),
        ..Options::default()
    })
}

/// Somebody greets somewhere.
fn somebody_greets(stand: &Stand, rng: &mut Rng, text: &str) {
    let (place, user) = (pick(rng, 3), pick(rng, 5));
    let channel = match rng.below(4) {
        0 => stand.places[place].random.clone(),
        _ => stand.places[place].general.clone(),
    };
    stand.says_in(place, user, text, &channel, None);
}

/// Counts the acks that Slack has seen.
#[derive(Default)]
struct Acks {
    looked_at: usize,
    seen: usize,
}

impl Acks {
    fn count(&mut self, stand: &mut Stand) -> usize {
        let record = stand.record();
        let new = &record[self.looked_at..];
        let is_ack = |what: &What| matches!(what, What::Ack { .. });
        self.seen += new.iter().filter(|entry| is_ack(&entry.what)).count();
        self.looked_at = record.len();
        self.seen
    }
}

impl Play {
    /// One life under load, to its kill.
    fn live_and_die(&self, stand: &mut Stand, acks: &mut Acks, rng: &mut Rng, is_calm: bool) {
        let wanted = acks.count(stand) + 1 + pick(rng, 60);
        let more = Duration::from_micros(rng.below(30_000));
        let program = (self.start)(stand);
        if is_calm {
            calm_down(stand);
        }
        let clock = Clock::system();
        let begun = clock.now();
        while acks.count(stand) < wanted {
            assert!(clock.now() - begun < LIFE_WITHIN, "{}", program.told());
            (self.write)(stand, rng);
            std::thread::park_timeout(rng.up_to(Duration::from_millis(8)));
        }
        let seen = clock.now();
        while clock.now() - seen < more {
            (self.write)(stand, rng);
            std::thread::park_timeout(rng.up_to(Duration::from_millis(2)));
        }
        program.kill();
        for _ in 0..rng.below(5) {
            (self.write)(stand, rng);
        }
    }

    /// Every life, and the judgement.
    #[expect(
        clippy::print_stdout,
        reason = "whoever sees it fail must be able to repeat it"
    )]
    fn play(&self) -> Verdict {
        let seed = number("CALLBOARD_CRASH_SEED").unwrap_or_else(|| Rng::from_system().next_u64());
        let rounds = number("CALLBOARD_CRASH_ROUNDS").unwrap_or(self.rounds);
        println!("CALLBOARD_CRASH_SEED={seed} CALLBOARD_CRASH_ROUNDS={rounds}");
        let (mut stand, mut rng) = (hasty(seed), Rng::seeded(seed));
        let mut acks = Acks::default();
        for round in 1..=rounds {
            let is_calm = round % CALM_EVERY == 0;
            self.live_and_die(&mut stand, &mut acks, &mut rng, is_calm);
        }
        let program = (self.start)(&stand);
        quiesce(&mut stand, &program, &self.rules);
        let code = program.stop();
        let acked = acks.count(&mut stand);
        let buried = buried(&stand);
        let verdict = judge_without(&Record::of(stand.record()), &self.rules, &buried);
        println!(
            "{rounds} kills, {acked} acks ({} late), {} answers owed, {} given, {} commands acked, {} answered, \
             {} late answers doubled by a kill, {} deliveries given up since three kills hit them",
            verdict.late_acks,
            verdict.owned,
            verdict.answered,
            verdict.commands_owned,
            verdict.commands_answered,
            verdict.doubled_by_kills,
            buried.len()
        );
        verdict.assert_kept();
        assert_eq!(code, Some(0), "everything was settled");
        assert!(verdict.answered > usize::try_from(rounds).unwrap());
        // A disk that is held up makes a calm life look settled too early.
        let few = usize::try_from(1 + rounds / 10).unwrap();
        assert!(buried.len() <= few, "too many: {buried:?}");
        let expected: &[&str] = match buried.as_slice() {
            [] => &[],
            [..] => &["a delivery is given up and kept as a dead letter"],
        };
        let mut logged = program::logged(&stand);
        // A disk that is held up for seconds backs everything up, and what finds no room comes again.
        logged.retain(|line| !line.contains("full: envelopes are left un-acked"));
        let faults = sentinel::faults(&logged, expected);
        assert!(faults.is_empty(), "{}", faults.join("\n"));
        verdict
    }
}

/// What was given up because three kills hit it; there must be no other dead letter.
fn buried(stand: &Stand) -> Vec<Buried> {
    let error = format!("the process ended {POISON_DEATHS_MAX} times while it ran");
    let buried = |letter: Dead| {
        assert_eq!(letter.error, error, "{letter:?}");
        let (handler, _) = letter.key.split_once('/').unwrap();
        Buried {
            handler: handler.to_owned(),
            name: letter.name,
        }
    };
    stand.dead().into_iter().map(buried).collect()
}

/// Waits until something happens, and then until nothing happens any more.
fn calm_down(stand: &mut Stand) {
    let (clock, before) = (Clock::system(), stand.record().len());
    until("it begins", || stand.record().len() > before);
    let (mut entries, mut changed) = (stand.record().len(), clock.now());
    until("nothing happens any more", || {
        if stand.record().len() > entries {
            (entries, changed) = (stand.record().len(), clock.now());
        }
        clock.now() - changed >= CALM
    });
}

/// Waits until Slack owes nothing more, and everything owned is answered.
fn quiesce(stand: &mut Stand, program: &Program, rules: &Rules) {
    until("Slack owes no envelope any more", || {
        let mut open = HashSet::new();
        for entry in stand.record() {
            match &entry.what {
                What::EnvelopeSent { envelope_id, .. }
                | What::EnvelopeUnsent { envelope_id, .. } => {
                    open.insert(envelope_id.as_str());
                }
                What::Ack { envelope_id, .. }
                | What::EnvelopeGivenUp { envelope_id, .. }
                | What::CommandFailed { envelope_id, .. } => {
                    open.remove(envelope_id.as_str());
                }
                _ => {}
            }
        }
        open.is_empty()
    });
    let clock = Clock::system();
    let (mut record, mut changed) = (Record::default(), clock.now());
    // The judge names what is missing; here it only gets its time.
    while clock.now() - changed < QUIET {
        if stand.record().len() > record.entries.len() {
            (record, changed) = (grown(record, stand), clock.now());
        } else if judge(&record, rules).violations.is_empty() {
            return;
        }
        assert!(program.is_alive(), "{}", program.told());
        std::thread::park_timeout(Duration::from_millis(250));
    }
}

fn grown(mut record: Record, stand: &mut Stand) -> Record {
    record.read_on(stand.record());
    record
}

#[test]
fn what_was_acked_is_handled_once_and_in_order_through_any_number_of_kills() {
    let play = Play {
        rounds: ROUNDS,
        start: Program::start,
        write: |stand, rng| somebody_greets(stand, rng, "hello"),
        rules: RULES,
    };
    play.play();
}

//! The table.
#![expect(clippy::print_stdout, reason = "the table is for people")]

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::Options;
use crate::link::Flowed;

/// One round of one kind.
#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) events: u64,
    /// From the first frame to the end, whatever the end is of this kind.
    pub(crate) took: Duration,
    pub(crate) cpu: Duration,
    pub(crate) generator_cpu: Duration,
    pub(crate) flowed: Flowed,
    pub(crate) peak_bytes: u64,
    pub(crate) threads: Vec<(String, Duration)>,
}

/// The part at a fixed rate.
#[derive(Debug)]
pub(crate) struct Latency {
    pub(crate) rate: u64,
    pub(crate) took: Duration,
    pub(crate) flowed: Flowed,
}

pub(crate) fn begin(options: &Options, shards: NonZeroUsize) {
    println!(
        "flow benchmark: {} rounds of {} events, {} people, {shards} shards; medians",
        options.rounds, options.events, options.people
    );
    if cfg!(debug_assertions) {
        println!("NOT OPTIMISED: these numbers mean nothing");
    }
}

pub(crate) fn end(kinds: &[(String, Vec<Round>)], latency: Option<Latency>) {
    println!(
        "{:<30}{:>11}{:>10}{:>9}{:>11}{:>10}{:>10}{:>9}",
        "", "events/s", "CPU us", "of bare", "generator", "ack p50", "ack p99", "peak"
    );
    let bare = kinds.first().map_or(0.0, |(_, rounds)| cpu_us(rounds));
    for (name, rounds) in kinds.iter().filter(|(_, rounds)| !rounds.is_empty()) {
        let of_bare = if bare > 0.0 {
            format!("{:.2}", cpu_us(rounds) / bare)
        } else {
            "-".to_owned()
        };
        println!(
            "{name:<30}{:>11.0}{:>7.2} us{of_bare:>9}{:>8.2} us{:>7.2} ms{:>7.2} ms{:>6.0} MB",
            median(rounds, |round| count(round) / round.took.as_secs_f64()),
            cpu_us(rounds),
            median(rounds, |round| micros(round.generator_cpu) / count(round)),
            median(rounds, |round| micros(round.flowed.p50) / 1000.0),
            median(rounds, |round| micros(round.flowed.p99) / 1000.0),
            median(rounds, |round| megabytes(round.peak_bytes)),
        );
    }
    for (name, rounds) in kinds.iter().filter(|(_, rounds)| !rounds.is_empty()) {
        threads(name, rounds);
    }
    if let Some(latency) = latency {
        println!(
            "ack at {} events/s for {:.0} s: p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
            latency.rate,
            latency.took.as_secs_f64(),
            micros(latency.flowed.p50) / 1000.0,
            micros(latency.flowed.p99) / 1000.0,
            micros(latency.flowed.max) / 1000.0,
        );
    }
}

/// Where the time went, in microseconds per event of each thread.
fn threads(name: &str, rounds: &[Round]) {
    let Some(first) = rounds.first() else {
        return;
    };
    let of = |round: &Round, thread: &str| {
        let ran = round
            .threads
            .iter()
            .filter(|(name, _)| name == thread)
            .map(|(_, ran)| micros(*ran));
        ran.sum::<f64>() / count(round)
    };
    let mut told: Vec<(String, f64)> = first
        .threads
        .iter()
        .map(|(thread, _)| (thread.clone(), median(rounds, |round| of(round, thread))))
        .filter(|(_, ran)| *ran >= 0.01)
        .collect();
    let until_acked: f64 = told.iter().map(|(_, ran)| ran).sum();
    told.push(("stop".to_owned(), cpu_us(rounds) - until_acked));
    let told: Vec<String> = told
        .iter()
        .map(|(thread, ran)| format!("{thread} {ran:.2}"))
        .collect();
    println!("CPU us by thread, {name}: {}", told.join(", "));
}

fn cpu_us(rounds: &[Round]) -> f64 {
    median(rounds, |round| micros(round.cpu) / count(round))
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn count(round: &Round) -> f64 {
    round.events as f64
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn median(rounds: &[Round], of: impl Fn(&Round) -> f64) -> f64 {
    let mut values: Vec<f64> = rounds.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

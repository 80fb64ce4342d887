//! The flow benchmark: what an event costs from the socket to its ack, beside what a socket costs alone.
//!
//! ```text
//! cargo bench --bench flow                    # about a minute
//! cargo bench --bench flow -- --cold          # and a million keys, of which few are in memory
//! cargo bench --bench flow -- --seconds 60    # the long form of the latency part
//! cargo bench --bench flow -- --help          # the rest
//! ```
//!
//! The load comes from a generator in a process of its own: this program again, as a minimal Slack over loopback
//! TCP that sends `events_api` envelopes of 1.4 KB with new ids, in 16 workspaces, as fast as acks allow within a
//! window. Rounds of three kinds follow each other, so that they see the same machine; medians are printed.
//!
//! - *bare awc loop*: reads frames, finds the id, leaves the payload raw, acks. Nothing durable, nothing handled.
//! - *callboard*: a counter per person, on the SQLite store in `target/`: every ack means handled and synced to
//!   disk. All keys are resident before the clock starts.
//! - *callboard, in memory*: the same on a store without files: what durability costs is the difference.
//! - *callboard, cold* (`--cold`): as above among a million stored keys, of which nearly every event wakes another.
//!
//! *events/s* is the count by the time from the first frame to the end of Callboard's stop, so that draining, the
//! last fold and the checkpoint are inside. *CPU* is the time of all threads of the runtime's process over the same
//! stretch, kernel included. The generator's own is beside it; on a machine with few cores it competes for them.
//! *ack* is from before the generator's write to the ack's arrival: at full speed mostly the window's own queue, so
//! the latency that means something is measured at 5,000 events a second, on a resident store.
//!
//! To compare two versions, keep both programs (`--no-run` says where they are) and run them in turn, several times:
//! on a machine that does other work the same program was seen to need half as much again a minute later, and both
//! `CPU` and *of bare* move with it. One round under a profiler is no measurement.
//!
//! What the numbers are not: TLS (the socket is plain), the network, several machines, or work in the handler. One
//! socket carries everything, so the thread of connections is the narrowest place. Threads by name are read when the
//! last ack has come, before the stop.
mod bare;
mod board;
mod generator;
mod link;
mod load;
mod report;
mod template;
mod usage;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use callboard::base::clock::Clock;
use callboard::store::IN_MEMORY;
use clap::Parser;

use generator::Generator;
use link::{Flow, Who};
use report::{Latency, Round};

/// Un-acked envelopes at once: half of what a socket may have open.
const WINDOW: u64 = 2048;

/// Stored keys of the cold rounds.
const COLD_PEOPLE: u64 = 1_000_000;

/// The fixed rate of the latency part, events per second.
const RATE: u64 = 5_000;

#[derive(Debug, Parser)]
#[command(name = "flow", about = "The flow benchmark; see benches/flow/main.rs")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
struct Options {
    /// Rounds of each kind; their medians are printed.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Events of each round.
    #[arg(long, default_value_t = 400_000, value_parser = clap::value_parser!(u64).range(1..=20_000_000))]
    events: u64,
    /// People who write, and so resident keys.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    people: u64,
    /// Seconds at the fixed rate; 0 leaves it out.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(0..=600))]
    seconds: u64,
    /// Dispatch threads; by default the number of cores, as Callboard's own default is.
    #[arg(long)]
    shards: Option<NonZeroUsize>,
    /// Add rounds among a million stored keys, each of half as many events.
    #[arg(long)]
    cold: bool,
    /// Leave out the bare loop, for a profile of Callboard alone.
    #[arg(long)]
    no_bare: bool,
    /// Passed by cargo; means nothing here.
    #[arg(long, hide = true)]
    bench: bool,
    /// Be the generator.
    #[arg(long, hide = true)]
    generate: bool,
}

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    let options = Options::parse();
    if options.generate {
        return load::run();
    }
    // As in production: what `info` says is written, what is finer is not.
    tracing_subscriber::fmt()
        .with_env_filter("info,actix_server=warn")
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let folder = Folder::new()?;
    let bench = Bench {
        shards: match options.shards {
            Some(shards) => shards,
            None => std::thread::available_parallelism()?,
        },
        generator: Generator::start()?,
        folder: folder.0.clone(),
        clock: Clock::system(),
        options,
    };
    bench.run()
}

/// Where the stores are; removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("flow-bench");
        // An earlier run may have been ended.
        std::fs::remove_dir_all(&path).ok();
        std::fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

struct Bench {
    options: Options,
    shards: NonZeroUsize,
    generator: Generator,
    folder: PathBuf,
    clock: Clock,
}

impl Bench {
    fn run(mut self) -> Result<()> {
        let (events, people) = (self.options.events, self.options.people);
        report::begin(&self.options, self.shards);
        let (mut bare, mut warm, mut cold) = (Vec::new(), Vec::new(), Vec::new());
        let mut volatile = Vec::new();
        if self.options.cold {
            board::fill(&self.folder.join("filled"), COLD_PEOPLE)?;
        }
        for n in 0..self.options.rounds {
            if !self.options.no_bare {
                bare.push(self.bare(events)?);
            }
            let path = self.folder.join(format!("warm-{n}"));
            warm.push(self.board(&path, events, people, people)?);
            std::fs::remove_dir_all(&path)?;
            volatile.push(self.board(Path::new(IN_MEMORY), events, people, people)?);
            if self.options.cold {
                let path = self.folder.join(format!("cold-{n}"));
                copy(&self.folder.join("filled"), &path)?;
                cold.push(self.board(&path, events / 2, COLD_PEOPLE, 0)?);
                std::fs::remove_dir_all(&path)?;
            }
        }
        let latency = match self.options.seconds {
            0 => None,
            seconds => Some(self.latency(seconds, people)?),
        };
        report::end(
            &[
                ("bare awc loop".to_owned(), bare),
                (format!("callboard, {people} keys"), warm),
                ("callboard, in memory".to_owned(), volatile),
                (format!("callboard, cold, {COLD_PEOPLE} keys"), cold),
            ],
            latency,
        );
        Ok(())
    }

    fn flow(count: u64, people: u64) -> Flow {
        Flow {
            count,
            window: WINDOW,
            people,
            who: Who::Random,
            rate: 0,
        }
    }

    fn bare(&mut self, events: u64) -> Result<Round> {
        let thread = bare::start(self.generator.socket_url())?;
        self.generator.wait()?;
        self.generator.flow(Self::flow(events / 10 + 1, 1))?;
        usage::forget_peak()?;
        let (threads, cpu) = (usage::thread_cpu()?, usage::process_cpu()?);
        let (flowed, generator_cpu) = self
            .generator
            .flow(Self::flow(events, self.options.people))?;
        let round = Round {
            events,
            took: flowed.took,
            cpu: usage::process_cpu()?.saturating_sub(cpu),
            generator_cpu,
            flowed,
            peak_bytes: usage::peak_bytes()?,
            threads: usage::between(&threads, &usage::thread_cpu()?),
        };
        self.generator.close()?;
        match thread.join() {
            Ok(seen) => seen.context("the bare loop")?,
            Err(_) => bail!("the bare loop panicked"),
        };
        Ok(round)
    }

    /// One round of Callboard; the first `resident` people are woken before the clock starts.
    fn board(&mut self, path: &Path, events: u64, people: u64, resident: u64) -> Result<Round> {
        usage::forget_peak()?;
        let turns = board::turns();
        let running = board::start(&self.generator, path, self.shards)?;
        self.generator.wait()?;
        if resident > 0 {
            self.generator.flow(each(resident))?;
        }
        let (threads, cpu, began) = (
            usage::thread_cpu()?,
            usage::process_cpu()?,
            self.clock.now(),
        );
        let (flowed, generator_cpu) = self.generator.flow(Self::flow(events, people))?;
        let threads = usage::between(&threads, &usage::thread_cpu()?);
        board::stop(running)?;
        let handled = board::turns() - turns;
        if handled != events + resident {
            let sent = events + resident;
            bail!("{sent} events were sent, and {handled} turns ran");
        }
        Ok(Round {
            events,
            took: self.clock.now().saturating_duration_since(began),
            cpu: usage::process_cpu()?.saturating_sub(cpu),
            generator_cpu,
            flowed,
            peak_bytes: usage::peak_bytes()?,
            threads,
        })
    }

    /// The latency of acks at a fixed rate.
    fn latency(&mut self, seconds: u64, people: u64) -> Result<Latency> {
        let path = self.folder.join("latency");
        let running = board::start(&self.generator, &path, self.shards)?;
        self.generator.wait()?;
        self.generator.flow(each(people))?;
        let flow = Flow {
            window: u64::MAX,
            rate: RATE,
            ..Self::flow(RATE * seconds, people)
        };
        let (flowed, _) = self.generator.flow(flow)?;
        board::stop(running)?;
        Ok(Latency {
            rate: RATE,
            took: flowed.took.max(Duration::from_secs(1)),
            flowed,
        })
    }
}

/// One event of each person.
fn each(people: u64) -> Flow {
    Flow {
        count: people,
        window: WINDOW,
        people,
        who: Who::Each,
        rate: 0,
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        std::fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

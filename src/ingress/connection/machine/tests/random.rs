//! Connections that live through anything in any order, and what must hold of each of them at every moment.
//!
//! `CALLBOARD_CONNECTION_SEEDS=10000` tries so many seeds; CI takes a fixed few.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{Generation, Input, Machine, Mode, Output, Rtm, Said, SocketMode};
use super::{hello, refused, terms};
use crate::base::clock::{Clock, Instant};
use crate::base::rng::Rng;
use std::time::Duration;

/// Seeds of an ordinary run.
const SEEDS: u64 = 300;

/// Inputs of one life.
const STEPS: usize = 400;

/// What the world around the machine knows.
struct World {
    machine: Machine,
    rng: Rng,
    now: Instant,
    seed: u64,
    asking: BTreeSet<Generation>,
    dialling: BTreeSet<Generation>,
    open: BTreeSet<Generation>,
    told: BTreeSet<Generation>,
    serving: BTreeSet<Generation>,
    asks: Vec<Instant>,
    is_rtm: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::seeded(seed);
        let is_rtm = rng.below(4) == 0;
        let slots = if is_rtm { 1 } else { 1 + rng.below(9) };
        Self {
            machine: Machine::new(
                terms(usize::try_from(slots).unwrap()),
                Rng::seeded(rng.next_u64()),
            ),
            rng,
            now: Clock::system().now(),
            seed,
            asking: BTreeSet::new(),
            dialling: BTreeSet::new(),
            open: BTreeSet::new(),
            told: BTreeSet::new(),
            serving: BTreeSet::new(),
            asks: Vec::new(),
            is_rtm,
        }
    }

    fn step(&mut self, input: Input) {
        let text = format!("{input:?}");
        let mut out = Vec::new();
        self.machine.step(self.now, input, &mut out);
        for output in out {
            self.take(&output, &text);
        }
        self.check(&text);
    }

    fn take(&mut self, output: &Output, input: &str) {
        let seed = self.seed;
        match output {
            Output::Ask(generation) => {
                assert!(self.asking.insert(*generation), "seed {seed}, {input}");
                assert_eq!(self.machine.mode, Mode::Live, "seed {seed}, {input}");
                self.asks.push(self.now);
            }
            Output::Dial(generation) => {
                assert!(self.asking.remove(generation), "seed {seed}, {input}");
                self.dialling.insert(*generation);
            }
            Output::Close(generation) => {
                assert!(self.open.contains(generation), "seed {seed}, {input}");
                self.told.insert(*generation);
            }
            Output::Look(generation) => {
                assert!(self.open.contains(generation), "seed {seed}, {input}");
                assert!(!self.told.contains(generation), "seed {seed}, {input}");
            }
            Output::Up { generation, .. } => {
                assert!(self.open.contains(generation), "seed {seed}, {input}");
                assert!(self.serving.insert(*generation), "seed {seed}: up twice");
            }
            Output::Down(_) | Output::Stopped(_) | Output::Ghosts(_) => {}
        }
    }

    fn check(&self, input: &str) {
        let seed = self.seed;
        let view = self.machine.view();
        // One owner of each socket: what the machine holds is what is open, each once.
        let mut held: BTreeSet<Generation> = BTreeSet::new();
        let mut of_slot: BTreeMap<usize, (u32, u32)> = BTreeMap::new();
        for socket in &view.sockets {
            assert!(
                held.insert(socket.generation),
                "seed {seed}, {input}: twice"
            );
            let counts = of_slot.entry(socket.slot).or_default();
            match socket.state {
                "serving" => counts.0 += 1,
                "asking" | "dialling" | "greeting" => counts.1 += 1,
                _ => {}
            }
        }
        for counts in of_slot.values() {
            // Never two live generations, but for the one that replaces.
            assert!(counts.0 <= 1 && counts.1 <= 1, "seed {seed}, {input}");
        }
        for generation in &self.open {
            assert!(
                held.contains(generation),
                "seed {seed}, {input}: nobody owns {generation}"
            );
        }
        if !self.is_rtm {
            let live =
                self.open.len() + self.dialling.iter().filter(|it| held.contains(it)).count();
            let strange = view
                .sockets
                .iter()
                .filter(|it| it.slot == usize::MAX)
                .count();
            assert!(live <= 10 + strange, "seed {seed}, {input}: {live} sockets");
        }
        // No hot loop, however often somebody wants it connected.
        for (n, at) in self.asks.iter().enumerate() {
            let within =
                |since: &&Instant| at.saturating_duration_since(**since) < Duration::from_mins(1);
            let recent = self.asks[..=n].iter().rev().take_while(within).count();
            assert!(
                recent <= 20 + 51,
                "seed {seed}: {recent} tickets in a minute"
            );
        }
        if let Mode::Halted(_) = view.mode {
            let serving = view.sockets.iter().any(|it| it.state == "serving");
            assert!(!serving, "seed {seed}, {input}");
        }
    }

    fn any(&mut self, of: fn(&Self) -> &BTreeSet<Generation>) -> Generation {
        let count = of(self).len() as u64;
        // Sometimes one that does not exist.
        let nth = usize::try_from(self.rng.below(count + 1)).unwrap();
        let generation = of(self).iter().nth(nth).copied();
        generation.unwrap_or_else(|| self.rng.below(40))
    }

    fn said(&mut self) -> Said {
        if self.is_rtm {
            return Said::Rtm(match self.rng.below(6) {
                0..=2 => Rtm::Hello,
                3 => Rtm::Goodbye,
                4 => Rtm::TeamMigrationStarted,
                _ => Rtm::Error("no".into()),
            });
        }
        match self.rng.below(40) {
            0..=20 => hello(),
            21..=26 => Said::SocketMode(SocketMode::Warning),
            27..=31 => Said::SocketMode(SocketMode::RefreshRequested),
            32..=35 => Said::SocketMode(SocketMode::TooManyWebsockets),
            36 => Said::SocketMode(SocketMode::LinkDisabled),
            37 | 38 => Said::SocketMode(SocketMode::disconnect("of_next_year")),
            _ => Said::SocketMode(SocketMode::Nothing),
        }
    }

    fn close(&mut self, generation: Generation) {
        if self.open.remove(&generation) {
            self.told.remove(&generation);
            self.step(Input::Closed(generation, "closed".into()));
        }
    }

    fn anything(&mut self) {
        match self.rng.below(24) {
            0..=3 => {
                let generation = self.any(|world| &world.asking);
                self.step(Input::Ticket(generation));
            }
            4 => {
                let generation = self.any(|world| &world.asking);
                self.asking.remove(&generation);
                let after = (self.rng.below(3) == 0).then(|| Duration::from_secs(5));
                let is_final = self.rng.below(12) == 0;
                self.step(Input::Refused(generation, refused(is_final, after)));
            }
            5..=8 => {
                let generation = self.any(|world| &world.dialling);
                if self.dialling.remove(&generation) {
                    self.open.insert(generation);
                    self.step(Input::Opened(generation));
                }
            }
            9 => {
                let generation = self.any(|world| &world.dialling);
                if self.dialling.remove(&generation) {
                    self.step(Input::DialFailed(generation, "failed".into()));
                }
            }
            10..=14 => {
                let generation = self.any(|world| &world.open);
                let said = self.said();
                self.step(Input::Said(generation, said));
            }
            15 => {
                let generation = self.any(|world| &world.open);
                let count = self.rng.below(500);
                self.step(Input::Heard(generation, count));
            }
            16 => {
                let generation = self.any(|world| &world.open);
                self.close(generation);
            }
            17 => {
                let told: Vec<_> = self.told.iter().copied().collect();
                for generation in told {
                    self.close(generation);
                }
            }
            18 => {
                let generation = self.any(|world| &world.open);
                self.step(Input::Idle(generation));
            }
            19..=21 => {
                self.now += self.rng.up_to(Duration::from_secs(2));
                self.step(Input::Tick);
            }
            22 => {
                self.now += self.rng.up_to(Duration::from_secs(90));
                self.step(Input::Tick);
            }
            _ if self.rng.below(8) == 0 => self.step(Input::Halt("asked".into())),
            _ => self.step(Input::Start),
        }
    }

    /// Slack is well again: everything comes up, and stays.
    fn recovers(&mut self) {
        self.step(Input::Start);
        for _ in 0..4000 {
            let (asking, dialling) = (self.asking.clone(), self.dialling.clone());
            let told = self.told.clone();
            for generation in asking {
                self.asking.remove(&generation);
                self.asking.insert(generation);
                self.step(Input::Ticket(generation));
                self.asking.remove(&generation);
            }
            for generation in dialling {
                self.dialling.remove(&generation);
                self.open.insert(generation);
                self.step(Input::Opened(generation));
                self.step(Input::Said(
                    generation,
                    if self.is_rtm {
                        Said::Rtm(Rtm::Hello)
                    } else {
                        hello()
                    },
                ));
            }
            for generation in told {
                self.close(generation);
            }
            match self.machine.next_tick() {
                Some(next) => {
                    self.now = self.now.max(next);
                    self.step(Input::Tick);
                }
                None if self.asking.is_empty()
                    && self.dialling.is_empty()
                    && self.told.is_empty() =>
                {
                    break;
                }
                None => {}
            }
        }
        let view = self.machine.view();
        let states: Vec<_> = view.sockets.iter().map(|it| it.state).collect();
        assert_eq!(
            states,
            vec!["serving"; self.machine.slots.len()],
            "seed {}",
            self.seed
        );
    }
}

#[test]
fn whatever_comes_in_whatever_order_the_invariants_hold_and_it_recovers() {
    // When this is compiled: nothing but `config` reads the environment while it runs.
    let seeds = option_env!("CALLBOARD_CONNECTION_SEEDS");
    let seeds = seeds.map_or(SEEDS, |seeds| seeds.parse().unwrap());
    for seed in 0..seeds {
        let mut world = World::new(seed);
        world.step(Input::Start);
        for _ in 0..STEPS {
            world.anything();
        }
        world.recovers();
    }
}

//! Everything that is not the process: Slack, the people, the disk, and the fate that ends the process.
//!
//! Whatever the process does to it goes through [`World::goes_on`] first. Once the process is dead nothing that
//! it does arrives any more, so it is dead in that instant, wherever its tasks stand.

mod crossing;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{FutureExt, LocalBoxFuture};
use tokio::sync::{Notify, mpsc};

use super::bots::number;
use super::invariants::Journal;
use super::plan::{self, Plan};
use crate::base::clock::{Clock, Instant};
use crate::base::rng::Rng;
use crate::flow::ack::Released;
use crate::flow::envelope::{Envelope, Mark};
use crate::flow::key::AppName;
use crate::sim::inside::{Machine, Out, Setup, Terms};
use crate::sim::{By, SocketId, Transport, World as Places};
use crate::slack::id::{AppId, ChannelId, TeamId, UserId};
use crate::store::DeadLetter;
use crate::store::simulated::Disk;
use crate::web::{Incoming, Outgoing, Wire};

/// The time of day at which every world begins, seconds since 1970.
const EPOCH_S: u64 = 1_700_000_000;

/// Where Slack is; nothing listens there.
const ROOT: &str = "http://slack";

/// How the process may be reached by a frame, and where its acks come out.
const LINE_FRAMES_MAX: usize = 100_000;

/// The world, shared by the tasks of one thread.
#[derive(Clone)]
pub(super) struct Outside(Arc<Mutex<World>>);

/// Steps after which a world that goes on is taken for endless.
const STEPS_MAX: u64 = 200_000;

/// A part of the store that is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sabotage {
    /// Some batches are called durable and are lost.
    Batches,
    /// Marks are not written.
    Marks,
    /// No state is found.
    States,
    /// Recovered rows come in the wrong order.
    Rows,
    /// Recovered effects are forgotten.
    Effects,
    /// Posts are made twice.
    Posts,
    /// Acks and calls don't wait for the disk: batches are told before they are durable.
    Haste,
}

/// One workspace, as people use it.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) team: TeamId,
    pub(super) users: Vec<UserId>,
    pub(super) channels: Vec<ChannelId>,
}

/// An envelope that reached the process.
#[derive(Debug, Clone)]
pub(super) struct Arrived {
    pub(super) life: u32,
    pub(super) id: String,
    pub(super) is_retry: bool,
}

/// What an envelope's ack promises.
#[derive(Debug, Clone)]
pub(super) struct Owed {
    pub(super) envelope: Envelope,
    /// The handlers that must have it.
    pub(super) handlers: Vec<String>,
}

/// One life of the process.
#[derive(Debug, Clone)]
pub(super) struct Lived {
    pub(super) from_us: u64,
    pub(super) to_us: u64,
    /// From here on nothing more was admitted: it was stopping.
    pub(super) stops_us: u64,
    /// The first entry that it could write.
    pub(super) first_seq: u64,
    pub(super) end: &'static str,
}

pub(super) struct World {
    pub(super) slack: Machine,
    pub(super) disk: Disk,
    pub(super) rng: Rng,
    pub(super) plan: Plan,
    pub(super) places: Vec<Place>,
    pub(super) apps: Vec<(AppId, AppName)>,
    pub(super) lives: Vec<Lived>,
    pub(super) arrivals: Vec<Arrived>,
    pub(super) owed: HashMap<String, Owed>,
    /// What is durable, as far as it is checked.
    pub(super) journal: Journal,
    /// Numbers of messages that ail no more.
    healed: BTreeSet<u64>,
    /// The envelope that a mark is of, by its id on the wire.
    marked: HashMap<Mark, String>,
    /// When a socket was lost: deadlines around it may be missed.
    pub(super) losses_us: Vec<u64>,
    /// From when until when the disk was nearly full; the last may not be over. What comes then is shed.
    pub(super) shorts_us: Vec<(u64, u64)>,
    pub(super) violations: BTreeSet<String>,
    pub(super) died: Arc<Notify>,
    pub(super) slack_changed: Arc<Notify>,
    /// What is broken on purpose, to see whether the checker sees it.
    pub(super) sabotage: Option<Sabotage>,
    /// How it went, line by line, when somebody wants to see it.
    pub(super) is_told: bool,
    clock: Option<(Clock, Instant)>,
    base_us: u64,
    steps_left: Option<u64>,
    steps: u64,
    death: Option<&'static str>,
    lines: BTreeMap<SocketId, mpsc::Sender<Arc<str>>>,
    acts: u64,
}

impl Outside {
    /// The world of a seed.
    pub(super) fn new(seed: u64, is_told: bool) -> Self {
        let mut rng = Rng::seeded(seed);
        let plan = Plan::draw(&mut rng);
        let (map, places, apps) = build(&plan);
        let ladder = if plan.is_long {
            [0, 700, 1400]
        } else {
            [0, 60, 300]
        };
        let setup = Setup {
            world: map,
            root: ROOT.to_owned(),
            epoch_us: EPOCH_S * 1_000_000,
            terms: Terms {
                deadline_us: 3_000_000,
                ladder_us: ladder.map(|s| s * 1_000_000),
            },
            seed: rng.next_u64(),
            life_s: 18_060,
        };
        let world = World {
            slack: Machine::new(setup),
            disk: Disk::new(),
            rng,
            plan,
            places,
            apps,
            lives: Vec::new(),
            arrivals: Vec::new(),
            owed: HashMap::new(),
            journal: Journal::default(),
            healed: BTreeSet::new(),
            marked: HashMap::new(),
            losses_us: Vec::new(),
            shorts_us: Vec::new(),
            violations: BTreeSet::new(),
            died: Arc::new(Notify::new()),
            slack_changed: Arc::new(Notify::new()),
            sabotage: None,
            is_told,
            clock: None,
            base_us: 0,
            steps_left: None,
            steps: 0,
            death: None,
            lines: BTreeMap::new(),
            acts: 0,
        };
        Self(Arc::new(Mutex::new(world)))
    }

    /// Looks at the world or changes it.
    pub(super) fn with<R>(&self, work: impl FnOnce(&mut World) -> R) -> R {
        work(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits a random time up to `most`; a quarter of the times not at all.
    pub(super) async fn wait(&self, most: Duration) {
        let wait = self.with(|world| {
            let is_quick = world.rng.below(4) == 0;
            if is_quick {
                Duration::ZERO
            } else {
                world.rng.up_to(most)
            }
        });
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    async fn carry(self, call: Outgoing) -> Result<Incoming, String> {
        let net = self.with(|world| world.plan.net);
        self.wait(net).await;
        let Some(answered) = self.with(|world| world.take_call(&call)) else {
            return std::future::pending().await;
        };
        self.wait(net).await;
        let (delay, answer) = answered;
        // Nobody waits longer for an answer than a client would.
        tokio::time::sleep(delay).await;
        answer
    }
}

impl Wire for Outside {
    fn send(&self, call: Outgoing) -> LocalBoxFuture<'static, Result<Incoming, String>> {
        self.clone().carry(call).boxed_local()
    }
}

impl World {
    pub(super) fn tell(&mut self, line: impl FnOnce() -> String) {
        if self.is_told {
            let (at, line) = (self.now_us(), line());
            super::say(&format!("{:>9}.{:03} ms  {line}", at / 1000, at % 1000));
        }
    }

    pub(super) fn violate(&mut self, text: String) {
        self.tell(|| format!("VIOLATION {text}"));
        self.violations.insert(text);
    }

    /// A new process; `steps` is how much it may do until it dies.
    pub(super) fn begin(&mut self, steps: Option<u64>) -> Clock {
        let clock =
            Clock::starting_at(Duration::from_secs(EPOCH_S) + Duration::from_micros(self.base_us));
        self.clock = Some((clock, clock.now()));
        (self.steps_left, self.death) = (steps, None);
        self.died = Arc::new(Notify::new());
        self.slack_changed = Arc::new(Notify::new());
        self.lives.push(Lived {
            from_us: self.base_us,
            to_us: u64::MAX,
            stops_us: u64::MAX,
            first_seq: self.disk.len() + 1,
            end: "",
        });
        let life = self.lives.len();
        self.tell(|| format!("life {life} begins, steps {steps:?}"));
        clock
    }

    /// The process is gone; `pause` passes until the next.
    pub(super) fn end(&mut self, pause: Duration) {
        self.base_us = self.now_us();
        self.clock = None;
        // The next process looks for itself.
        if let Some((_, to)) = self.shorts_us.last_mut() {
            *to = (*to).min(self.base_us);
        }
        let end = self.death.unwrap_or("stopped");
        if let Some(life) = self.lives.last_mut() {
            (life.to_us, life.end) = (self.base_us, end);
        }
        self.tell(|| format!("the process ends: {end}"));
        self.death = Some(end);
        let sockets: Vec<_> = std::mem::take(&mut self.lines).into_keys().collect();
        let now_us = self.base_us;
        for socket in sockets {
            self.slack
                .at(now_us)
                .ended(socket, By::Lost, None, "the process ended");
        }
        let until = self.base_us + u64::try_from(pause.as_micros()).unwrap();
        while let Some(due) = self.slack.next_due_us().filter(|due| *due <= until) {
            self.slack.at(due).tick();
            self.slack.take_outs();
        }
        self.base_us = until;
    }

    /// From now on nothing more is admitted.
    pub(super) fn stop(&mut self) {
        let now_us = self.now_us();
        self.tell(|| "stops".to_owned());
        self.lives.last_mut().unwrap().stops_us = now_us;
    }

    /// This life, from 0.
    pub(super) fn life(&self) -> u32 {
        u32::try_from(self.lives.len()).unwrap().saturating_sub(1)
    }

    pub(super) fn now_us(&self) -> u64 {
        let since = self.clock.map_or(Duration::ZERO, |(clock, started)| {
            clock.now().saturating_duration_since(started)
        });
        self.base_us + u64::try_from(since.as_micros()).unwrap()
    }

    pub(super) fn now_ms(&self) -> u64 {
        EPOCH_S * 1000 + self.now_us() / 1000
    }

    pub(super) fn is_dead(&self) -> bool {
        self.death.is_some()
    }

    /// Ends the process now.
    pub(super) fn die(&mut self, why: &'static str) {
        if self.death.is_none() {
            self.tell(|| format!("dies: {why}"));
            self.death = Some(why);
            self.died.notify_one();
        }
    }

    /// The process is about to touch the world: whether it lives to do it.
    pub(super) fn goes_on(&mut self, what: &'static str) -> bool {
        if self.is_dead() {
            return false;
        }
        self.steps += 1;
        if self.steps > STEPS_MAX {
            self.violate(format!("it goes on after {STEPS_MAX} steps: {what}"));
            self.die(what);
        }
        match &mut self.steps_left {
            Some(0) => self.die(what),
            Some(left) => *left -= 1,
            None => {}
        }
        !self.is_dead()
    }

    /// Whether something that happens to so many of a thousand happens now.
    pub(super) fn happens(&mut self, of_1000: u64) -> bool {
        of_1000 > 0 && self.rng.below(1000) < of_1000
    }

    /// Gives an input to Slack, and lets out what comes of it.
    pub(super) fn slack<R>(&mut self, input: impl FnOnce(&mut Machine) -> R) -> R {
        let now_us = self.now_us();
        let result = input(self.slack.at(now_us));
        for out in self.slack.take_outs() {
            match out {
                Out::Frame(socket, text) => {
                    let line = self.lines.get(&socket);
                    line.inspect(|line| line.try_send(text).unwrap());
                }
                Out::Close(socket, ..) | Out::Cut(socket) => {
                    self.lines.remove(&socket);
                }
                Out::Live(_) => {}
            }
        }
        self.slack_changed.notify_one();
        result
    }

    /// Opens a Socket Mode socket; its frames come out here until it is lost.
    pub(super) fn open(&mut self, app: &AppId) -> (SocketId, mpsc::Receiver<Arc<str>>) {
        let now_us = self.now_us();
        let slack = self.slack.at(now_us);
        let url = slack.link_url(app);
        let (_, rest) = url.split_once("ticket=").unwrap();
        let ticket = rest.split('&').next().unwrap();
        let socket = slack.open(ticket, Transport::Socket).unwrap();
        let (line, frames) = mpsc::channel(LINE_FRAMES_MAX);
        self.lines.insert(socket, line);
        self.slack(|_| ());
        (socket, frames)
    }

    /// A socket goes, with what is on it.
    pub(super) fn lose(&mut self, socket: SocketId) {
        if self.lines.remove(&socket).is_some() {
            let now_us = self.now_us();
            self.losses_us.push(now_us);
            self.tell(|| format!("socket {socket} is lost"));
            self.slack(|slack| slack.ended(socket, By::Lost, None, "lost"));
        }
    }

    /// Looks at the disk: whether it is nearly full from now on.
    pub(super) fn look_at_space(&mut self) -> bool {
        let now_us = self.now_us();
        let bad = self.plan.bad_space;
        let is_short = self.happens(bad);
        let last = self.shorts_us.last_mut();
        let is_open = last.as_ref().is_some_and(|(_, to)| *to == u64::MAX);
        match last {
            Some((_, to)) if is_open && !is_short => *to = now_us,
            _ if !is_open && is_short => self.shorts_us.push((now_us, u64::MAX)),
            _ => {}
        }
        is_short
    }

    /// The oldest delivery that was given up for what an operator can heal.
    pub(super) fn ailing(&self) -> Option<DeadLetter> {
        let mut letters = self.disk.letters().into_iter();
        letters.find(|letter| {
            let text = String::from_utf8_lossy(&letter.body);
            // What has other troubles too would be given up again and again.
            text.contains(" ails ") && !text.contains(" dies ") && !text.contains(" kills ")
        })
    }

    /// An operator heals it: it does not fail any more.
    pub(super) fn heal(&mut self) -> Option<DeadLetter> {
        let letter = self.ailing()?;
        let body = String::from_utf8_lossy(&letter.body);
        self.healed.extend(number(&body, "#"));
        self.tell(|| format!("an operator retries {} of {}", letter.name, letter.key));
        Some(letter)
    }

    /// Whether what the message with this number asks for was healed.
    pub(super) fn is_healed(&self, text: &str) -> bool {
        number(text, "#").is_some_and(|number| self.healed.contains(&number))
    }

    /// An envelope reaches the process.
    pub(super) fn arrive(&mut self, envelope_id: &str, owed: Owed, is_retry: bool) {
        let id = owed.envelope.id.clone();
        self.tell(|| {
            format!(
                "arrives {id} for {:?}: {:?}",
                owed.handlers, owed.envelope.subject.text
            )
        });
        let life = self.life();
        let id = id.to_string();
        self.arrivals.push(Arrived { life, id, is_retry });
        if let Some(mark) = owed.envelope.mark() {
            self.marked.insert(mark, envelope_id.to_owned());
        }
        self.owed.insert(envelope_id.to_owned(), owed);
    }

    /// The ack reaches Slack, if its socket is still there.
    pub(super) fn acked(&mut self, socket: SocketId, released: &Released) {
        if self.is_dead() || !self.lines.contains_key(&socket) {
            return;
        }
        let mut frame = serde_json::json!({"envelope_id": released.envelope_id.as_str()});
        if let Some(answer) = &released.answer {
            frame["payload"] = serde_json::from_str(answer.get()).unwrap();
        }
        self.slack(|slack| slack.received(socket, &frame.to_string()));
    }

    /// Somebody writes, or runs a command.
    pub(super) fn act(&mut self) {
        let pick = |rng: &mut Rng, count: usize| usize::try_from(rng.below(count as u64)).unwrap();
        let place = self.places[pick(&mut self.rng, self.places.len())].clone();
        let user = place.users[pick(&mut self.rng, place.users.len())].clone();
        let channel = place.channels[pick(&mut self.rng, place.channels.len())].clone();
        self.acts += 1;
        let (number, is_command) = (self.acts, self.rng.below(6) == 0);
        let plan = self.plan.clone();
        if is_command {
            let text = plan::command_words(&mut self.rng, number, &plan);
            let command = if self.rng.below(2) == 0 {
                "/greeted"
            } else {
                "/report"
            };
            self.tell(|| format!("{user} runs {command} {text}"));
            self.slack(|slack| {
                slack
                    .command(&place.team, &channel, &user, command, &text)
                    .unwrap()
            });
        } else {
            let text = plan::words(&mut self.rng, number, &plan);
            self.tell(|| format!("{user} writes {text}"));
            self.slack(|slack| {
                slack
                    .post(&place.team, &channel, &user, &text, None)
                    .unwrap()
            });
        }
    }
}

/// The places of a plan, and the names of its apps.
fn build(plan: &Plan) -> (Places, Vec<Place>, Vec<(AppId, AppName)>) {
    let mut map = Places::empty();
    let mut places = Vec::new();
    for t in 0..plan.teams {
        let team = map.team(&format!("Team {t}"));
        let users = (0..plan.users)
            .map(|n| map.user(&team, &format!("u{n}"), "").unwrap())
            .collect();
        let channels = (0..plan.channels)
            .map(|n| map.channel(&team, &format!("c{n}"), "").unwrap())
            .collect();
        places.push(Place {
            team,
            users,
            channels,
        });
    }
    let mut apps = Vec::new();
    for n in 0..plan.apps {
        let name = format!("app{n}");
        let app = map.app(&name, Transport::Socket);
        for place in &places {
            map.install(&app, &place.team).unwrap();
        }
        for command in ["/greeted", "/report"] {
            map.command(&app, command, "", "").unwrap();
        }
        apps.push((app, AppName::new(&name)));
    }
    (map, places, apps)
}

//! A simulated Slack with three workspaces, and the runtime beside it.
//!
//! `acme` is a Socket Mode app in the first two workspaces, `classic` an RTM app in the third.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use callboard::app::{Callboard, Ended, Running, StartError};
use callboard::base::clock::Clock;
use callboard::base::network::Network;
use callboard::base::secret::Secret;
use callboard::config::{App, Config, Connection as Keeping, Runtime, Slack, Store, Transport};
use callboard::ingress::Standing;
use callboard::sim::{self, Entry, Options, Simulator, What, World};
use callboard::slack::id::{AppId, ChannelId, TeamId, Ts, UserId};
use rusqlite::Connection;

use crate::bots::{Greeter, Report, close_gate};
use crate::folder::Folder;
use crate::judge::{Facts, Record, Rules, Verdict, judge};
use crate::sentinel::{Watch, watch};

/// How long anything may take before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(4);

/// One workspace with its people.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) team: TeamId,
    pub(crate) general: ChannelId,
    pub(crate) random: ChannelId,
    pub(crate) users: Vec<UserId>,
}

/// One dead letter, as the store keeps it.
#[derive(Debug)]
pub(crate) struct Dead {
    pub(crate) name: String,
    pub(crate) key: String,
    pub(crate) error: String,
    pub(crate) body: String,
}

/// Everything a test needs. Dropping it checks the log and removes the store.
pub(crate) struct Stand {
    pub(crate) simulator: Simulator,
    pub(crate) acme: AppId,
    /// Two workspaces over Socket Mode, one over RTM.
    pub(crate) places: [Place; 3],
    pub(crate) config: Config,
    pub(crate) log: Watch,
    seen: Vec<Entry>,
    folder: Folder,
}

/// With Slack's own times.
pub(crate) fn stand() -> Stand {
    stand_with(Options::default())
}

/// What is not acked comes again at once, then after 3 s and 15 s. The deadline is Slack's: on a busy machine a
/// shorter one would make Slack give up what nobody did wrong.
pub(crate) fn impatient() -> Stand {
    stand_with(Options {
        time_scale: 20.0,
        ..Options::default()
    })
}

/// `classic` is in the first workspace too, beside `acme`.
pub(crate) fn shared() -> Stand {
    built(Options::default(), &[2, 0])
}

pub(crate) fn stand_with(options: Options) -> Stand {
    built(options, &[2])
}

/// Nothing is kept on disk.
pub(crate) fn forgetful() -> Stand {
    let mut stand = stand();
    stand.config.store.path = callboard::store::IN_MEMORY.into();
    stand
}

fn built(mut options: Options, classic_in: &[usize]) -> Stand {
    let log = watch();
    close_gate();
    let mut world = World::empty();
    let places = ["Lantern", "Globe", "Harbour"].map(|name| place(&mut world, name));
    let acme = world.app("acme", sim::Transport::Socket);
    for command in ["/greeted", "/report"] {
        world.command(&acme, command, "", "").unwrap();
    }
    let classic = world.app("classic", sim::Transport::Rtm);
    let tokens = places[..2]
        .iter()
        .map(|place| Secret::new(world.install(&acme, &place.team).unwrap()))
        .collect();
    let rtm_tokens = classic_in
        .iter()
        .map(|&at| Secret::new(world.install(&classic, &places[at].team).unwrap()))
        .collect();
    options.world = world;
    let simulator = sim::start(options).unwrap();
    let described = simulator.describe();
    let app_token = described["apps"][0]["app_token"].as_str().unwrap();
    let folder = Folder::new();
    let config = Config {
        slack: Slack {
            base_url: simulator.api_url(),
        },
        network: Network::default(),
        store: Store {
            path: folder.path().join("store"),
        },
        runtime: Runtime {
            shards: NonZeroUsize::new(2).unwrap(),
        },
        apps: vec![
            App {
                name: "acme".to_owned(),
                transport: Transport::Socket {
                    app_token: Secret::new(app_token),
                },
                bot_tokens: tokens,
                connection: Keeping::default(),
            },
            App {
                name: "classic".to_owned(),
                transport: Transport::Rtm,
                bot_tokens: rtm_tokens,
                connection: Keeping::default(),
            },
        ],
    };
    Stand {
        simulator,
        acme,
        places,
        config,
        log,
        seen: Vec::new(),
        folder,
    }
}

fn place(world: &mut World, name: &str) -> Place {
    let team = world.team(name);
    let users = ["ann", "bob", "cy", "dee", "eve"]
        .map(|user| world.user(&team, user, user).unwrap())
        .to_vec();
    let general = world.channel(&team, "general", "").unwrap();
    let random = world.channel(&team, "random", "").unwrap();
    Place {
        team,
        general,
        random,
        users,
    }
}

impl Drop for Stand {
    /// A record of what went wrong is worth more than a panic's text.
    #[expect(clippy::print_stderr, reason = "it belongs to the failure")]
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let lines: Vec<String> = self
            .simulator
            .record()
            .iter()
            .filter_map(|entry| serde_json::to_string(entry).ok())
            .collect();
        let name = format!("callboard-record-{}.jsonl", std::process::id());
        let path = std::env::temp_dir().join(name);
        if std::fs::write(&path, lines.join("\n")).is_ok() {
            eprintln!("the simulator's record is in {}", path.display());
        }
    }
}

/// Waits until `is_so`, and fails with `what` when it does not come about.
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let clock = Clock::system();
    let begun = clock.now();
    while !is_so() {
        assert!(
            clock.now() - begun < PATIENCE,
            "it never came about: {what}"
        );
        std::thread::park_timeout(LOOK_EVERY);
    }
}

/// Waits until every connection is up.
#[track_caller]
pub(crate) fn connected(running: Running) -> Running {
    until("every connection is up", || {
        let standings = running.standings().all();
        let is_up = |(_, standing): &(String, Standing)| *standing == Standing::Up;
        standings.len() == running.lines().len() && standings.iter().all(is_up)
    });
    running
}

impl Stand {
    /// The runtime with the greeter and the report, connected.
    #[track_caller]
    pub(crate) fn start(&self) -> Running {
        connected(self.try_start().unwrap())
    }

    pub(crate) fn try_start(&self) -> Result<Running, StartError> {
        self.host().handler::<Greeter>().handler::<Report>().start()
    }

    /// The runtime with the handlers that `with` adds, connected.
    #[track_caller]
    pub(crate) fn start_with(&self, with: impl FnOnce(Callboard) -> Callboard) -> Running {
        connected(with(self.host()).start().unwrap())
    }

    fn host(&self) -> Callboard {
        Callboard::from_config(self.config.clone())
    }

    /// User number `user` writes `text` in #general.
    #[track_caller]
    pub(crate) fn says(&self, place: usize, user: usize, text: &str) -> Ts {
        let channel = self.places[place].general.clone();
        self.says_in(place, user, text, &channel, None)
    }

    #[track_caller]
    pub(crate) fn says_in(
        &self,
        place: usize,
        user: usize,
        text: &str,
        channel: &ChannelId,
        thread_ts: Option<&Ts>,
    ) -> Ts {
        let place = &self.places[place];
        let user = &place.users[user];
        self.simulator
            .post(&place.team, channel, user, text, thread_ts)
            .unwrap()
    }

    /// User number `user` of the first workspace runs a command in #general; the envelope that carries it.
    #[track_caller]
    pub(crate) fn runs(&self, user: usize, command: &str, text: &str) -> String {
        self.runs_in(0, user, command, text)
    }

    /// User number `user` runs a command in #general of `place`, which must be one of the first two.
    #[track_caller]
    pub(crate) fn runs_in(&self, place: usize, user: usize, command: &str, text: &str) -> String {
        let place = &self.places[place];
        let user = &place.users[user];
        self.simulator
            .command(&place.team, &place.general, user, command, text)
            .unwrap()
    }

    /// The record so far.
    pub(crate) fn record(&mut self) -> &[Entry] {
        let after = self.seen.last().map_or(0, |entry| entry.n);
        self.seen.extend(self.simulator.record_since(after));
        &self.seen
    }

    /// Waits until the record has `count` entries that fit.
    #[track_caller]
    pub(crate) fn recorded(&mut self, what: &str, count: usize, fits: impl Fn(&What) -> bool) {
        let told = format!("{count} × {what}");
        until(&told, || {
            let fitting = self.record().iter().filter(|entry| fits(&entry.what));
            fitting.count() >= count
        });
    }

    /// Waits until `count` greetings are answered, in all.
    #[track_caller]
    pub(crate) fn answered(&mut self, count: usize) {
        self.recorded("an answer", count, is_answer);
    }

    /// Waits until Slack is owed no ack any more.
    #[track_caller]
    pub(crate) fn all_acked(&mut self) {
        until("every envelope is acked", || {
            let mut open = std::collections::HashSet::new();
            for entry in self.record() {
                match &entry.what {
                    What::EnvelopeSent { envelope_id, .. }
                    | What::EnvelopeUnsent { envelope_id, .. } => {
                        open.insert(envelope_id);
                    }
                    What::Ack {
                        envelope_id,
                        is_late: false,
                        ..
                    } => {
                        open.remove(envelope_id);
                    }
                    What::EnvelopeGivenUp { envelope_id, .. } => {
                        panic!("Slack gave {envelope_id} up: nobody acked it");
                    }
                    _ => {}
                }
            }
            open.is_empty()
        });
    }

    /// Stops the runtime, which must leave nothing behind, and judges.
    #[track_caller]
    pub(crate) fn settle(&mut self, running: Running, rules: &Rules) -> Verdict {
        assert_eq!(running.stop(), Ended::Settled);
        let verdict = judge(&Record::of(self.record()), rules);
        verdict.assert_kept();
        verdict
    }

    /// The record as the judge understands it.
    pub(crate) fn facts(&mut self) -> Facts {
        Facts::of(&Record::of(self.record()))
    }

    /// A folder for what belongs to this test; the store is in it.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Every dead letter in the store, the oldest first. Nothing may run on it.
    pub(crate) fn dead(&self) -> Vec<Dead> {
        let db = Connection::open(self.state_db()).unwrap();
        let mut query = db
            .prepare("SELECT name, key, error, body FROM dead ORDER BY seq")
            .unwrap();
        let dead = query.query_map([], |row| {
            Ok(Dead {
                name: row.get(0)?,
                key: row.get(1)?,
                error: row.get(2)?,
                body: row.get(3)?,
            })
        });
        dead.unwrap().map(Result::unwrap).collect()
    }

    /// The texts of the bots' successful posts, in order.
    pub(crate) fn posts(&mut self) -> Vec<String> {
        let text = |what: &What| match what {
            What::Call {
                method,
                args,
                ok: true,
                ..
            } if method == "chat.postMessage" => Some(args.get("text")?.as_str()?.to_owned()),
            _ => None,
        };
        let record = self.record();
        record
            .iter()
            .filter_map(|entry| text(&entry.what))
            .collect()
    }

    /// Waits until the bots posted `text`.
    #[track_caller]
    pub(crate) fn posted(&mut self, text: &str) {
        until(&format!("{text:?} is posted"), || {
            self.posts().iter().any(|post| post == text)
        });
    }

    /// The database in which the store keeps what follows from its journal.
    pub(crate) fn state_db(&self) -> PathBuf {
        self.config.store.path.join("state.db")
    }
}

/// A successful post of the greeter's.
pub(crate) fn is_answer(what: &What) -> bool {
    let What::Call {
        method, args, ok, ..
    } = what
    else {
        return false;
    };
    let text = args.get("text").and_then(serde_json::Value::as_str);
    *ok && method == "chat.postMessage" && text.is_some_and(|text| text.starts_with("Hello <@"))
}

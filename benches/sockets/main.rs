//! A thousand tokens with one socket each in one process: up, all dropped at once, all back.
//!
//! `cargo bench --bench sockets` prints times, the rate of ticket requests and the memory of an idle socket. The
//! simulated Slack is a process of its own: this program, started again. `CALLBOARD_SOCKETS=200` takes fewer.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a measurement, for people; what is not as it should be ends it"
)]

mod slack;

use std::io::{BufRead, BufReader, Lines, Write};
use std::num::NonZeroUsize;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use callboard::app::{Callboard, Running};
use callboard::base::clock::{Clock, Instant};
use callboard::base::network::Network;
use callboard::base::secret::Secret;
use callboard::config::{
    App, Config, Connection, Environment, Runtime, Slack, Store, SystemEnvironment, Transport,
};
use callboard::ingress::Standing;
use callboard::prelude::*;
use serde_json::{Value, json};

/// Sockets, unless told otherwise.
const SOCKETS: usize = 1000;

/// How long any part may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// Sees everything and does nothing.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Idle;

impl HandlerActor for Idle {
    const NAME: &'static str = "idle";

    fn routes(routes: &mut Routes<Self>) {
        routes.on::<Message>().containing("never").per_user();
    }
}

impl On<Message> for Idle {
    async fn on(&mut self, _: Message, _: &mut Turn) -> Result<()> {
        Ok(())
    }
}

/// The simulated Slack in its own process.
struct Other {
    child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Other {
    fn start(sockets: usize) -> (Self, Value) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["slack", &sockets.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut other = Self {
            child,
            orders,
            answers,
        };
        let described = other.answer();
        (other, described)
    }

    fn answer(&mut self) -> Value {
        let line = self.answers.next().unwrap().unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn ask(&mut self, order: &str) -> Value {
        writeln!(self.orders, "{order}").unwrap();
        self.answer()
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn apps(described: &Value) -> Vec<App> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let apps = described["apps"].as_array().cloned().unwrap_or_default();
    let app = |app: &Value| App {
        name: text(&app["name"]),
        transport: Transport::Socket {
            app_token: Secret::new(text(&app["app_token"])),
        },
        bot_tokens: vec![Secret::new(text(&app["bot_token"]))],
        connection: Connection {
            slots: 1,
            ..Connection::default()
        },
    };
    apps.iter().map(app).collect()
}

/// Bytes of memory that this process occupies.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}

fn up(running: &Running) -> usize {
    let all = running.standings().all();
    all.iter()
        .filter(|(_, standing)| *standing == Standing::Up)
        .count()
}

/// Waits until `is_so`; how long it took since `begun`.
fn until(what: &str, begun: Instant, mut is_so: impl FnMut() -> bool) -> Duration {
    let clock = Clock::system();
    while !is_so() {
        if clock.now() - begun > PATIENCE {
            eprintln!("it never came about: {what}");
            std::process::abort();
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    clock.now() - begun
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, word, count] = arguments.as_slice()
        && word == "slack"
    {
        return slack::serve(count.parse().unwrap());
    }
    let sockets = SystemEnvironment
        .get("CALLBOARD_SOCKETS")
        .map_or(SOCKETS, |count| count.parse().unwrap());
    let (mut slack, described) = Other::start(sockets);
    let mut apps = apps(&described).into_iter();
    let folder = std::env::temp_dir().join(format!("callboard-sockets-{}", std::process::id()));
    let config = Config {
        slack: Slack {
            base_url: described["api_url"].as_str().unwrap_or_default().to_owned(),
        },
        network: Network::default(),
        store: Store {
            path: folder.clone(),
        },
        runtime: Runtime {
            shards: NonZeroUsize::MIN,
        },
        apps: apps.by_ref().take(1).collect(),
    };
    let clock = Clock::system();
    let running = Callboard::from_config(config)
        .handler::<Idle>()
        .start()
        .unwrap();
    until("one socket", clock.now(), || up(&running) == 1);
    std::thread::park_timeout(Duration::from_secs(1));
    let before = resident_bytes();

    let begun = clock.now();
    for app in apps {
        running.add(&app).unwrap();
    }
    let first = until("every socket", begun, || up(&running) == sockets);
    let first_tickets = slack.ask("tickets");
    // What only the start needed is given back meanwhile, and each socket has had a ping or two.
    std::thread::park_timeout(Duration::from_secs(12));
    let idle = resident_bytes().saturating_sub(before);

    let begun = clock.now();
    let dropped = slack.ask("drop");
    let down = until("every socket is gone", begun, || up(&running) < sockets / 2);
    let back = until("every socket again", begun, || {
        up(&running) == sockets && slack.ask("open")["open"] == json!(sockets)
    });
    let back_tickets = slack.ask("tickets");
    std::thread::park_timeout(Duration::from_secs(6));
    let after = resident_bytes().saturating_sub(before);

    println!("sockets                        {sockets}");
    println!(
        "up after                       {:.2} s",
        first.as_secs_f64()
    );
    println!("  tickets, busiest second      {first_tickets}");
    println!(
        "dropped at once                {dropped}, half noticed after {:.3} s",
        down.as_secs_f64()
    );
    println!("all back after                 {:.2} s", back.as_secs_f64());
    println!("  tickets, busiest second      {back_tickets}");
    let each = |bytes: u64| bytes / (sockets as u64).max(2).saturating_sub(1) / 1024;
    println!("memory per idle socket         {} KB", each(idle));
    println!("  after all have come back     {} KB", each(after));
    running.stop();
    std::fs::remove_dir_all(folder).ok();
}

//! Callboard with one handler that counts, as a program would start it.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use callboard::app::{Ended, Running};
use callboard::base::clock::Clock;
use callboard::base::network::Network;
use callboard::base::secret::Secret;
use callboard::config::{App, Config, Connection, Runtime, Slack, Store as StoreConfig, Transport};
use callboard::flow::key::{AppName, Key, Scope};
use callboard::prelude::*;
use callboard::slack::id::TeamId;
use callboard::store::{self, Record, Store, Submission};

use crate::generator::Generator;
use crate::load::BOT_TOKEN;
use crate::template::TEAMS;

/// The app's configured name, part of every key.
const APP: &str = "bench";

/// Turns of every handler so far, to compare with what was sent.
static TURNS: AtomicU64 = AtomicU64::new(0);

/// One per person: how much was written.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Counter {
    count: u64,
}

impl HandlerActor for Counter {
    const NAME: &'static str = "counter";

    fn routes(routes: &mut Routes<Self>) {
        routes.on::<Message>().per_user();
    }
}

impl On<Message> for Counter {
    async fn on(&mut self, _: Message, _: &mut Turn) -> callboard::bot::Result<()> {
        self.count += 1;
        TURNS.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// Turns so far, of this process's whole life.
pub(crate) fn turns() -> u64 {
    TURNS.load(Ordering::Relaxed)
}

/// Starts Callboard against the generator; its socket comes up in the background.
pub(crate) fn start(generator: &Generator, path: &Path, shards: NonZeroUsize) -> Result<Running> {
    let bot_tokens = (0..TEAMS)
        .map(|team| Secret::new(format!("{BOT_TOKEN}{team}")))
        .collect();
    let config = Config {
        slack: Slack {
            base_url: generator.base_url(),
        },
        network: Network::default(),
        store: StoreConfig {
            path: path.to_owned(),
        },
        runtime: Runtime { shards },
        apps: vec![App {
            name: APP.to_owned(),
            transport: Transport::Socket {
                app_token: Secret::new("xapp-bench"),
            },
            bot_tokens,
            // As many as the load comes over.
            connection: Connection {
                slots: 1,
                ..Connection::default()
            },
        }],
    };
    Callboard::from_config(config)
        .handler::<Counter>()
        .start()
        .context("starting Callboard")
}

/// Stops it; everything it took in must be settled, and folded.
pub(crate) fn stop(running: Running) -> Result<()> {
    match running.stop() {
        Ended::Settled => Ok(()),
        Ended::Left(left) => anyhow::bail!("{left} deliveries are not settled"),
    }
}

/// Gives every person a state, through the store's own writer and folder.
pub(crate) fn fill(path: &Path, people: u64) -> Result<()> {
    /// Records in one submission.
    const AT_ONCE: usize = 4096;
    let config = store::Config {
        free_bytes: store::free_bytes(),
        probe: None,
        path: path.to_owned(),
        marks_back_ms: 0,
        on_failure: Arc::new(|error| tracing::error!(%error, "filling the store failed")),
    };
    let (store, _) = Store::open(&config, Clock::system())?;
    let (durable, news) = std::sync::mpsc::channel();
    let from = store.queue.register(move |upto: store::Durable| {
        // Nobody waits for the last ones.
        durable.send(upto.upto).ok();
    });
    let app = AppName::new(APP);
    let numbers: Vec<u64> = (0..people).collect();
    for chunk in numbers.chunks(AT_ONCE) {
        let submissions = chunk
            .iter()
            .map(|&user| submission(&app, user, from))
            .collect();
        let first = store.queue.submit(submissions);
        // One submission at a time, so that memory stays bounded.
        let last = first + u64::try_from(chunk.len())? - 1;
        while news.recv().context("the store's writer has ended")? < last {}
    }
    store.close();
    Ok(())
}

fn submission(app: &AppName, user: u64, from: store::Submitter) -> Submission {
    let team = TeamId::new(format!("T{:08}", user % TEAMS));
    let key = Key::new(
        Counter::NAME,
        app,
        &team,
        Scope::User,
        &format!("U{user:08}"),
    );
    Submission {
        record: Record::Turn {
            event: format!("{APP}/Fill{user}").into(),
            app: app.clone(),
            team,
            row: None,
            key,
            version: Counter::VERSION,
            state: Some(r#"{"count":1}"#.into()),
            effects: Vec::new(),
        },
        mark: None,
        from,
    }
}

//! How a route's turns run, and how a state changes its shape and is refused.

use std::time::Duration;

use callboard::base::limits::{EFFECTS_MAX, STATE_BYTES_MAX};
use callboard::prelude::*;

use crate::sentinel::has_logged;
use crate::stand::{stand, until};

/// Too slow at first.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Sleeper {
    woken: u32,
}

impl HandlerActor for Sleeper {
    const NAME: &'static str = "sleeper";

    fn routes(routes: &mut Routes<Self>) {
        routes
            .on::<Message>()
            .containing("wake")
            .per_user()
            .within(Duration::from_millis(150));
    }
}

impl On<Message> for Sleeper {
    async fn on(&mut self, message: Message, turn: &mut Turn) -> Result<()> {
        self.woken += 1;
        turn.say(format!("woken {} times", self.woken));
        if message.text.contains("slowly") && turn.attempt() == 1 {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

#[test]
fn rule_6_a_turn_beyond_its_routes_time_leaves_no_trace_and_is_tried_again() {
    let mut stand = stand();
    let running = stand.start_with(Callboard::handler::<Sleeper>);
    stand.says(0, 0, "wake up");
    stand.says(0, 0, "wake up slowly");
    stand.says(0, 0, "wake up");
    until("all three are done", || stand.posts().len() == 3);
    assert!(has_logged("a turn failed"));
    stand.all_acked();
    running.stop();
    let expected = [1, 2, 3].map(|n| format!("woken {n} times"));
    assert_eq!(stand.posts(), expected);
}

/// Gets up when somebody else of its key has walked by.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Walker {
    walked: u32,
}

impl HandlerActor for Walker {
    const NAME: &'static str = "walker";

    fn routes(routes: &mut Routes<Self>) {
        routes
            .on::<Message>()
            .containing("walk")
            .per_channel()
            .retry_aside();
    }
}

impl On<Message> for Walker {
    async fn on(&mut self, message: Message, turn: &mut Turn) -> Result<()> {
        if message.text.contains("after you") && self.walked == 0 {
            return Err("it waits for another to go first".into());
        }
        self.walked += 1;
        turn.say(format!("{}: {}", self.walked, message.text));
        Ok(())
    }
}

#[test]
fn rule_6_a_delivery_that_is_retried_aside_lets_later_ones_of_its_key_pass() {
    let mut stand = stand();
    let running = stand.start_with(Callboard::handler::<Walker>);
    stand.says(0, 0, "walk after you");
    stand.says(0, 1, "walk");
    until("both have walked", || stand.posts().len() == 2);
    stand.all_acked();
    running.stop();
    assert_eq!(stand.posts(), ["1: walk", "2: walk after you"]);
    assert!(stand.dead().is_empty());
}

/// The first shape of a state.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Ledger {
    entries: u32,
}

impl HandlerActor for Ledger {
    const NAME: &'static str = "ledger";

    fn routes(routes: &mut Routes<Self>) {
        routes.on::<Message>().containing("enter").per_user();
    }
}

impl On<Message> for Ledger {
    async fn on(&mut self, _: Message, turn: &mut Turn) -> Result<()> {
        self.entries += 1;
        turn.say(format!("{} entries", self.entries));
        Ok(())
    }
}

/// The shape that came after it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct LaterLedger {
    entered: Vec<String>,
}

impl HandlerActor for LaterLedger {
    const NAME: &'static str = Ledger::NAME;
    const VERSION: u32 = 2;

    fn routes(routes: &mut Routes<Self>) {
        routes.on::<Message>().containing("enter").per_user();
    }

    fn migrate(version: u32, state: serde_json::Value) -> Result<Self> {
        if version != Ledger::VERSION {
            return Err(format!("version {version} is not known").into());
        }
        let before: Ledger = serde_json::from_value(state)?;
        let entered = (0..before.entries).map(|_| "of before".to_owned());
        Ok(Self {
            entered: entered.collect(),
        })
    }
}

impl On<Message> for LaterLedger {
    async fn on(&mut self, message: Message, turn: &mut Turn) -> Result<()> {
        self.entered.push(message.text);
        turn.say(self.entered.join(", "));
        Ok(())
    }
}

#[test]
fn rule_15_a_state_of_an_older_version_is_migrated_once_and_goes_on() {
    let mut stand = stand();
    let running = stand.start_with(Callboard::handler::<Ledger>);
    stand.says(0, 0, "enter");
    stand.says(0, 0, "enter");
    stand.posted("2 entries");
    running.stop();
    let running = stand.start_with(Callboard::handler::<LaterLedger>);
    stand.says(0, 0, "enter a");
    stand.says(0, 1, "enter b");
    stand.posted("of before, of before, enter a");
    stand.posted("enter b");
    running.stop();
    // Stored as version 2 now: `migrate` would refuse it.
    let running = stand.start_with(Callboard::handler::<LaterLedger>);
    stand.says(0, 0, "enter c");
    stand.posted("of before, of before, enter a, enter c");
    stand.all_acked();
    running.stop();
    assert!(stand.dead().is_empty());
}

/// Keeps more than it may.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Hoarder {
    kept: Vec<String>,
}

impl HandlerActor for Hoarder {
    const NAME: &'static str = "hoarder";

    fn routes(routes: &mut Routes<Self>) {
        routes.on::<Message>().containing("keep").per_user();
    }
}

impl On<Message> for Hoarder {
    async fn on(&mut self, message: Message, turn: &mut Turn) -> Result<()> {
        if message.text.contains("everything") {
            self.kept.push("x".repeat(STATE_BYTES_MAX));
        } else {
            self.kept.push(message.text.clone());
        }
        let says = if message.text.contains("shouting") {
            EFFECTS_MAX + 1
        } else {
            1
        };
        for _ in 0..says {
            turn.say(format!("{} things", self.kept.len()));
        }
        Ok(())
    }
}

#[test]
fn rule_5_a_turn_that_wants_too_much_is_refused_alone_and_its_key_goes_on() {
    let mut stand = stand();
    stand
        .log
        .expect("a delivery is given up and kept as a dead letter");
    let running = stand.start_with(Callboard::handler::<Hoarder>);
    stand.says(0, 0, "keep this");
    stand.says(0, 0, "keep everything");
    stand.says(0, 1, "keep that, shouting");
    stand.says(0, 0, "keep that");
    stand.says(0, 1, "keep that");
    until("both keys go on", || stand.posts().len() == 3);
    stand.all_acked();
    running.stop();
    let mut posts = stand.posts();
    posts.sort();
    assert_eq!(posts, ["1 things", "1 things", "2 things"]);
    let mut errors: Vec<String> = stand.dead().into_iter().map(|it| it.error).collect();
    errors.sort();
    let [state, effects] = errors.as_slice() else {
        panic!("two dead letters, not {errors:?}");
    };
    let may = format!("bytes, and may have {STATE_BYTES_MAX}");
    assert!(
        state.starts_with("the state has ") && state.contains(&may),
        "{state}"
    );
    let may = format!("{} effects, and may have {EFFECTS_MAX}", EFFECTS_MAX + 1);
    assert!(effects.contains(&may), "{effects}");
}

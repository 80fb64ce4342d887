//! The bots of the simulation. What they do, and what goes wrong with them, a message's words ask for.
//!
//! | word | what happens |
//! |---|---|
//! | `hello` | the greeter of the user counts and posts; so does the clerk of the channel, and tells the tally of the workspace |
//! | `fails=2` | the first two tries fail, after the state was changed |
//! | `panics=1` | the first try panics |
//! | `stalls=1` | the first try takes longer than it may |
//! | `naps=300` | every try takes 300 ms |
//! | `dies` | every try fails: it must become a dead letter |
//! | `kills` | every try ends the process: the same |
//! | `ails` | every try fails until an operator has seen the dead letter, and retries it |
//! | `asks` | the turn reads from Slack first, and fails if that fails |
//! | `writes` | the turn makes a call and waits for it, and fails if that fails |
//! | `both` | the clerk suffers too |
//! | `relay=3` | a memo from the user to himself, three more behind it, and a post in the end |
//! | `aside` | the sider of the user counts, and lets others pass while it fails |
//! | `edit` | the greeter changes its post in the same turn |
//!
//! `/greeted` and `/report` understand the same words; a report's job also `jobpanics`. What they post is in the
//! words that the judge knows.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::sleep;

use super::outside::Outside;
use crate::bot::activation::Registration;
use crate::bot::read::UsersInfo;
use crate::flow::envelope::Subject;
use crate::flow::key::Key;
use crate::prelude::*;

thread_local! {
    static OUTSIDE: RefCell<Option<Outside>> = const { RefCell::new(None) };
    static UNDER_WAY: RefCell<BTreeSet<Key>> = const { RefCell::new(BTreeSet::new()) };
}

/// Lets `kills` find the process that it ends.
pub(super) fn watch(outside: &Outside) {
    OUTSIDE.with_borrow_mut(|slot| *slot = Some(outside.clone()));
    UNDER_WAY.with_borrow_mut(BTreeSet::clear);
}

/// Everybody who is hosted.
pub(super) fn all() -> Vec<Registration> {
    vec![
        Registration::of::<Greeter>(),
        Registration::of::<Report>(),
        Registration::of::<Clerk>(),
        Registration::of::<Tally>(),
        Registration::of::<Sider>(),
        Registration::of::<Relay>(),
    ]
}

/// What panics on purpose says.
pub(super) const ASKED_TO_PANIC: &str = "asked to panic";

/// The number behind `word` in `text`.
pub(super) fn number(text: &str, word: &str) -> Option<u64> {
    let (_, rest) = text.split_once(word)?;
    rest.split_whitespace().next()?.parse().ok()
}

/// Bots that answer each other never end.
fn is_by_a_person(subject: &Subject) -> bool {
    subject.bot.is_empty()
}

/// A turn under way. Only one of a key may be.
struct Alone(Key);

impl Alone {
    fn begin(key: &Key) -> Self {
        let key = key.clone();
        if !UNDER_WAY.with_borrow_mut(|keys| keys.insert(key.clone())) {
            let outside = OUTSIDE.with_borrow(Clone::clone).unwrap();
            let text = format!("P2: two turns of {key} at a time");
            outside.with(|world| world.violate(text));
        }
        Self(key)
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        UNDER_WAY.with_borrow_mut(|keys| keys.remove(&self.0));
    }
}

async fn suffer(text: &str, who: &'static str, turn: &Turn) -> Result<()> {
    let attempt = u64::from(turn.attempt());
    let is_up_to = |word| number(text, word).is_some_and(|tries| attempt <= tries);
    if let Some(ms) = number(text, "naps=") {
        sleep(Duration::from_millis(ms)).await;
    }
    if text.contains("asks") && !turn.user().is_empty() {
        turn.read(&UsersInfo {
            user: turn.user().clone(),
        })
        .await?;
    }
    if text.contains("writes") {
        let mut args = serde_json::Map::new();
        args.insert("channel".to_owned(), turn.channel().to_string().into());
        args.insert("text".to_owned(), format!("About {text}").into());
        let asked = turn.call_at_least_once("chat.postMessage", args);
        asked.await?;
    }
    if is_up_to("stalls=") {
        sleep(Duration::from_secs(11)).await;
    }
    if text.contains("kills") {
        let outside = OUTSIDE.with_borrow(Clone::clone);
        outside.expect("a process").with(|world| world.die(who));
        std::future::pending::<()>().await;
    }
    if text.contains("ails ") {
        let outside = OUTSIDE.with_borrow(Clone::clone).unwrap();
        if !outside.with(|world| world.is_healed(text)) {
            return Err("it ails".into());
        }
    }
    assert!(!is_up_to("panics="), "{ASKED_TO_PANIC}");
    if is_up_to("fails=") || text.contains("dies") {
        return Err("asked to fail".into());
    }
    Ok(())
}

/// Counts greetings per user.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Greeter {
    n: u32,
}

impl HandlerActor for Greeter {
    const NAME: &'static str = "greeter";

    fn routes(routes: &mut Routes<Self>) {
        let mut route = routes.on::<Message>();
        route.when(is_by_a_person).containing("hello").per_user();
        routes.command("/greeted").per_user();
    }
}

impl On<Message> for Greeter {
    async fn on(&mut self, message: Message, turn: &mut Turn) -> Result<()> {
        let _alone = Alone::begin(turn.key());
        self.n += 1;
        let text = format!("Hello <@{}>, that makes {}", message.user, self.n);
        let posted = if message.thread_ts.is_some() {
            turn.reply(text)
        } else {
            turn.say(text)
        };
        suffer(&message.text, "greeter", turn).await?;
        if message.text.contains("edit") {
            turn.update(&posted, format!("edited, at {}", self.n));
        }
        Ok(())
    }
}

impl On<Command> for Greeter {
    async fn on(&mut self, command: Command, turn: &mut Turn) -> Result<Reply> {
        let _alone = Alone::begin(turn.key());
        suffer(&command.text, "greeter", turn).await?;
        Ok(Reply::ephemeral(format!("{} so far", self.n)))
    }
}

/// Posts "working", works beside everything else, and posts the result in the thread of that.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Report {
    n: u32,
}

/// Deferred work.
#[derive(Debug, Serialize, Deserialize)]
struct Work {
    subject: String,
    thread: Posted,
}

impl Job for Work {
    const NAME: &'static str = "work";
    type Output = usize;

    async fn run(&self) -> Result<usize> {
        if let Some(ms) = number(&self.subject, "naps=") {
            sleep(Duration::from_millis(ms)).await;
        }
        assert!(!self.subject.contains("jobpanics"), "{ASKED_TO_PANIC}");
        Ok(self.subject.split_whitespace().count())
    }
}

impl HandlerActor for Report {
    const NAME: &'static str = "report";

    fn routes(routes: &mut Routes<Self>) {
        routes.command("/report").per_user();
        routes.job::<Work>();
    }
}

impl On<Command> for Report {
    async fn on(&mut self, command: Command, turn: &mut Turn) -> Result<Reply> {
        let _alone = Alone::begin(turn.key());
        self.n += 1;
        suffer(&command.text, "report", turn).await?;
        let Command { user, text, .. } = command;
        let thread = turn.say(format!(
            "<@{user}> ordered {text} as number {}: working",
            self.n
        ));
        let subject = text;
        turn.defer(&Work { subject, thread })?;
        Ok(Reply::ephemeral("on its way"))
    }
}

impl On<Done<Work>> for Report {
    async fn on(&mut self, done: Done<Work>, turn: &mut Turn) -> Result<()> {
        let _alone = Alone::begin(turn.key());
        let Work { subject, thread } = done.job;
        let words = done.output.unwrap_or_default();
        turn.reply_to(&thread, format!("{subject} is done: {words} words"));
        Ok(())
    }
}

/// Numbers the greetings of each channel, looks at them, and tells the tally of the workspace.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Clerk {
    n: u32,
}

/// A greeting as its clerk noted it.
#[derive(Debug, Serialize, Deserialize)]
struct Noted {
    user: UserId,
    number: u32,
}

impl Memo for Noted {
    const NAME: &'static str = "noted";
}

impl HandlerActor for Clerk {
    const NAME: &'static str = "clerk";

    fn routes(routes: &mut Routes<Self>) {
        let mut route = routes.on::<Message>();
        route.when(is_by_a_person).containing("hello").per_channel();
    }
}

impl On<Message> for Clerk {
    async fn on(&mut self, message: Message, turn: &mut Turn) -> Result<()> {
        let _alone = Alone::begin(turn.key());
        self.n += 1;
        let (user, number) = (message.user, self.n);
        turn.say(format!(
            "Noted <@{user}> in <#{}>, number {number}",
            message.channel
        ));
        let team = To::team(turn.team());
        turn.memo::<Tally, _>(&team, &Noted { user, number })?;
        if let Some(cause) = turn.cause() {
            turn.react(&cause, "eyes");
        }
        if message.text.contains("both") {
            suffer(&message.text, "clerk", turn).await?;
        }
        Ok(())
    }
}

/// Counts what the clerks of its workspace noted.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Tally {
    n: u32,
}

impl HandlerActor for Tally {
    const NAME: &'static str = "tally";

    fn routes(routes: &mut Routes<Self>) {
        routes.memo::<Noted>().per_team();
    }
}

impl On<Received<Noted>> for Tally {
    async fn on(&mut self, received: Received<Noted>, turn: &mut Turn) -> Result<()> {
        let _alone = Alone::begin(turn.key());
        self.n += 1;
        let Noted { user, number } = received.memo;
        turn.say(format!(
            "Tally {}: <@{user}> was number {number} in <#{}>",
            self.n,
            turn.channel()
        ));
        Ok(())
    }
}

/// Counts per user, aside.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Sider {
    n: u32,
}

impl HandlerActor for Sider {
    const NAME: &'static str = "sider";

    fn routes(routes: &mut Routes<Self>) {
        let mut route = routes.on::<Message>();
        route.when(is_by_a_person).containing("aside");
        route.per_user().retry_aside();
    }
}

impl On<Message> for Sider {
    async fn on(&mut self, message: Message, turn: &mut Turn) -> Result<()> {
        let _alone = Alone::begin(turn.key());
        self.n += 1;
        turn.say(format!("Aside <@{}>, number {}", message.user, self.n));
        suffer(&message.text, "sider", turn).await
    }
}

/// Sends a user's message to himself, hop by hop, and counts what arrives.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Relay {
    n: u32,
}

/// A message on its way.
#[derive(Debug, Serialize, Deserialize)]
struct Baton {
    user: UserId,
    left: u64,
}

impl Memo for Baton {
    const NAME: &'static str = "baton";
}

impl Relay {
    fn pass(user: UserId, left: u64, turn: &mut Turn) -> Result<()> {
        turn.memo::<Self, _>(&To::user(&user.clone()), &Baton { user, left })?;
        Ok(())
    }
}

impl HandlerActor for Relay {
    const NAME: &'static str = "relay";

    fn routes(routes: &mut Routes<Self>) {
        let mut route = routes.on::<Message>();
        route.when(is_by_a_person).containing("relay=").per_user();
        routes.memo::<Baton>();
    }
}

impl On<Message> for Relay {
    async fn on(&mut self, message: Message, turn: &mut Turn) -> Result<()> {
        let _alone = Alone::begin(turn.key());
        let left = number(&message.text, "relay=").unwrap_or_default();
        Self::pass(message.user, left, turn)
    }
}

impl On<Received<Baton>> for Relay {
    async fn on(&mut self, received: Received<Baton>, turn: &mut Turn) -> Result<()> {
        let _alone = Alone::begin(turn.key());
        let Baton { user, left } = received.memo;
        if left > 0 {
            return Self::pass(user, left - 1, turn);
        }
        self.n += 1;
        turn.say(format!("Relay <@{user}> arrived, number {}", self.n));
        Ok(())
    }
}

#[test]
fn numbers_are_found_behind_their_words() {
    assert_eq!(number("#12 hello naps=30 ", "naps="), Some(30));
    assert_eq!(number("#12 hello", "#"), Some(12));
    assert_eq!(number("hello", "#"), None);
}

#[test]
fn two_turns_of_a_key_at_a_time_are_seen() {
    let outside = Outside::new(0, false);
    watch(&outside);
    let found = || outside.with(|world| world.violations.len());
    let (one, other) = (Key::from_stored("a"), Key::from_stored("b"));
    drop(Alone::begin(&one));
    let _first = Alone::begin(&one);
    let _second = Alone::begin(&other);
    assert_eq!(found(), 0);
    let _third = Alone::begin(&one);
    assert_eq!(found(), 1);
}

//! The bots of the simulation. What they do, and what goes wrong with them, a message's words ask for.
//!
//! | word | what happens |
//! |---|---|
//! | `hello` | the greeter of the user counts and posts |
//! | `fails=2` | the first two tries fail, after the state was changed |
//! | `panics=1` | the first try panics |
//! | `stalls=1` | the first try takes longer than it may |
//! | `naps=300` | every try takes 300 ms |
//! | `dies` | every try fails: it must become a dead letter |
//! | `kills` | every try ends the process: the same |
//! | `asks` | the turn reads from Slack first, and fails if that fails |
//! | `memo`, `relay=3` | a note to the tally of the workspace; three notes from user to user, one causing the next |
//! | `job` | a deferred job, whose result is posted in the thread of an earlier post |
//! | `aside` | the sider of the user counts, and lets others pass while it fails |

use std::time::Duration;

use tokio::time::sleep;

use super::outside::Outside;
use crate::bot::read::UsersInfo;
use crate::flow::envelope::Subject;
use crate::prelude::*;

thread_local! {
    static OUTSIDE: std::cell::RefCell<Option<Outside>> = const { std::cell::RefCell::new(None) };
}

/// Lets `kills` find the process that it ends.
pub(super) fn watch(outside: &Outside) {
    OUTSIDE.with_borrow_mut(|slot| *slot = Some(outside.clone()));
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
    if is_up_to("stalls=") {
        sleep(Duration::from_secs(11)).await;
    }
    if text.contains("kills") {
        let outside = OUTSIDE.with_borrow(Clone::clone);
        outside.expect("a process").with(|world| world.die(who));
        std::future::pending::<()>().await;
    }
    assert!(!is_up_to("panics="), "{ASKED_TO_PANIC}");
    if is_up_to("fails=") || text.contains("dies") {
        return Err("asked to fail".into());
    }
    Ok(())
}

/// Counts per user, in the order of the messages.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Greeter {
    n: u32,
}

/// A note from one key to another.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Note {
    of: u64,
    left: u64,
    user: UserId,
}

impl Memo for Note {
    const NAME: &'static str = "note";
}

/// Deferred work.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Work {
    of: u64,
    text: String,
    thread: Posted,
}

impl Job for Work {
    const NAME: &'static str = "work";
    type Output = u64;

    async fn run(&self) -> Result<u64> {
        if let Some(ms) = number(&self.text, "naps=") {
            sleep(Duration::from_millis(ms)).await;
        }
        assert!(!self.text.contains("jobpanics"), "{ASKED_TO_PANIC}");
        Ok(self.of * 2)
    }
}

impl HandlerActor for Greeter {
    const NAME: &'static str = "greeter";

    fn routes(routes: &mut Routes<Self>) {
        let mut route = routes.on::<Message>();
        route.when(is_by_a_person).containing("hello").per_user();
        routes.command("/count").per_user();
        routes.job::<Work>();
        routes.memo::<Note>();
    }
}

impl On<Message> for Greeter {
    async fn on(&mut self, message: Message, turn: &mut Turn) -> Result<()> {
        self.n += 1;
        let of = number(&message.text, "#").unwrap_or_default();
        let posted = turn.say(format!("by=greeter n={} of={of}", self.n));
        suffer(&message.text, "greeter", turn).await?;
        if message.text.contains("job") {
            turn.defer(&Work {
                of,
                text: message.text.clone(),
                thread: posted.clone(),
            })?;
        }
        let note = |left| Note {
            of,
            left,
            user: message.user.clone(),
        };
        if message.text.contains("memo") {
            turn.memo::<Tally, _>(&To::team(&turn.team().clone()), &note(0))?;
        }
        if let Some(left) = number(&message.text, "relay=") {
            turn.memo::<Self, _>(&To::user(&message.user), &note(left))?;
        }
        if message.text.contains("edit") {
            turn.update(&posted, format!("edited of={of}"));
        }
        Ok(())
    }
}

impl On<Command> for Greeter {
    async fn on(&mut self, command: Command, turn: &mut Turn) -> Result<Reply> {
        suffer(&command.text, "greeter", turn).await?;
        if command.text.contains("count") {
            self.n += 1;
            turn.say(format!("by=greeter n={} of=0", self.n));
        }
        Ok(Reply::ephemeral(format!("{} so far", self.n)))
    }
}

impl On<Done<Work>> for Greeter {
    async fn on(&mut self, done: Done<Work>, turn: &mut Turn) -> Result<()> {
        self.n += 1;
        let output = done.output.unwrap_or_default();
        let text = format!("by=greeter n={} of={} = {output}", self.n, done.job.of);
        turn.reply_to(&done.job.thread, text);
        Ok(())
    }
}

impl On<Received<Note>> for Greeter {
    async fn on(&mut self, note: Received<Note>, turn: &mut Turn) -> Result<()> {
        self.n += 1;
        let Note { of, left, user } = note.memo;
        turn.say(format!("by=greeter n={} of={of}", self.n));
        if left > 0 {
            let left = left - 1;
            turn.memo::<Self, _>(&To::user(&user.clone()), &Note { of, left, user })?;
        }
        Ok(())
    }
}

/// Counts per channel, everything.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Scribe {
    n: u32,
}

impl HandlerActor for Scribe {
    const NAME: &'static str = "scribe";

    fn routes(routes: &mut Routes<Self>) {
        let mut route = routes.on::<Message>();
        route.when(is_by_a_person).per_channel();
    }
}

impl On<Message> for Scribe {
    async fn on(&mut self, message: Message, turn: &mut Turn) -> Result<()> {
        self.n += 1;
        if let Some(cause) = turn.cause() {
            turn.react(&cause, "eyes");
        }
        let of = number(&message.text, "#").unwrap_or_default();
        turn.reply(format!("by=scribe n={} of={of}", self.n));
        if message.text.contains("both") {
            suffer(&message.text, "scribe", turn).await?;
        }
        Ok(())
    }
}

/// Counts per user, aside.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Sider {
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
        self.n += 1;
        let of = number(&message.text, "#").unwrap_or_default();
        turn.say(format!("by=sider n={} of={of}", self.n));
        suffer(&message.text, "sider", turn).await
    }
}

/// Counts notes per workspace.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Tally {
    n: u32,
}

impl HandlerActor for Tally {
    const NAME: &'static str = "tally";

    fn routes(routes: &mut Routes<Self>) {
        routes.memo::<Note>();
    }
}

impl On<Received<Note>> for Tally {
    async fn on(&mut self, note: Received<Note>, turn: &mut Turn) -> Result<()> {
        self.n += 1;
        turn.say(format!("by=tally n={} of={}", self.n, note.memo.of));
        Ok(())
    }
}

#[test]
fn numbers_are_found_behind_their_words() {
    assert_eq!(number("#12 hello naps=30 ", "naps="), Some(30));
    assert_eq!(number("#12 hello", "#"), Some(12));
    assert_eq!(number("hello", "#"), None);
}

//! The bots under test. What they do wrong, they do because a message asks for it.
mod crowd;

use std::time::Duration;

use callboard::prelude::*;
use tokio::sync::Semaphore;
use tokio::time::sleep;

pub(crate) use crowd::{Canary, Clerk, Tally};

/// What `waits` waits for: whoever comes through takes a permit with him.
static GATE: Semaphore = Semaphore::const_new(0);

/// Lets `count` waiting turns or jobs go on.
pub(crate) fn let_through(count: usize) {
    GATE.add_permits(count);
}

/// Nobody comes through: what an earlier test left open is closed.
pub(crate) fn close_gate() {
    GATE.forget_permits(usize::MAX >> 4);
}

/// Takes the time that `text` asks for.
async fn take_time(text: &str) -> Result<()> {
    if text.contains("waits") {
        GATE.acquire().await?.forget();
    }
    if let Some(ms) = number(text, "naps=") {
        sleep(Duration::from_millis(ms)).await;
    }
    Ok(())
}

/// Fails or panics as `text` asks for by words that begin with `whose`.
fn go_wrong(whose: &str, text: &str, attempt: u32) -> Result<()> {
    let is_asked = |word: &str| {
        let tries = number(text, &format!(" {whose}{word}="));
        tries.is_some_and(|tries| u64::from(attempt) <= tries)
    };
    if is_asked("fails") {
        return Err("asked to fail".into());
    }
    assert!(!is_asked("panics"), "asked to panic");
    Ok(())
}

/// Counts greetings per user. Words in a message make it fail, panic or take its time: `fails=2` and `panics=2` (the
/// first two tries), `naps=300` (milliseconds), `waits` (until it is let through).
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Greeter {
    greeted: u32,
}

impl HandlerActor for Greeter {
    const NAME: &'static str = "greeter";

    fn routes(routes: &mut Routes<Self>) {
        routes.on::<Message>().containing("hello").per_user();
        routes.command("/greeted").per_user();
    }
}

impl On<Message> for Greeter {
    async fn on(&mut self, message: Message, turn: &mut Turn) -> Result<()> {
        // Changed before anything goes wrong, so that a state that is not restored shows.
        self.greeted += 1;
        let text = format!("Hello <@{}>, that makes {}", message.user, self.greeted);
        if message.thread_ts.is_some() {
            turn.reply(text);
        } else {
            turn.say(text);
        }
        take_time(&message.text).await?;
        go_wrong("", &message.text, turn.attempt())
    }
}

impl On<Command> for Greeter {
    async fn on(&mut self, command: Command, turn: &mut Turn) -> Result<Reply> {
        take_time(&command.text).await?;
        go_wrong("", &command.text, turn.attempt())?;
        Ok(Reply::ephemeral(format!("{} so far", self.greeted)))
    }
}

/// The number behind `word` in `text`.
fn number(text: &str, word: &str) -> Option<u64> {
    let (_, rest) = text.split_once(word)?;
    rest.split_whitespace().next()?.parse().ok()
}

/// Posts "working", works beside everything else, and posts the result in the thread of that.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    ordered: u32,
}

/// The work.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Compile {
    subject: String,
    thread: Posted,
}

impl Job for Compile {
    const NAME: &'static str = "report.compile";
    type Output = usize;

    async fn run(&self) -> Result<usize> {
        take_time(&self.subject).await?;
        Ok(self.subject.split_whitespace().count())
    }
}

impl HandlerActor for Report {
    const NAME: &'static str = "report";

    fn routes(routes: &mut Routes<Self>) {
        routes.command("/report").per_user();
        routes.job::<Compile>();
    }
}

impl On<Command> for Report {
    async fn on(&mut self, command: Command, turn: &mut Turn) -> Result<Reply> {
        self.ordered += 1;
        go_wrong("", &command.text, turn.attempt())?;
        let thread = turn.say(format!(
            "<@{}> ordered {} as number {}: working",
            command.user, command.text, self.ordered
        ));
        turn.defer(&Compile {
            subject: command.text,
            thread,
        })?;
        Ok(Reply::ephemeral("on its way"))
    }
}

impl On<Done<Compile>> for Report {
    async fn on(&mut self, done: Done<Compile>, turn: &mut Turn) -> Result<()> {
        let words = done.output?;
        let text = format!("{} is done: {words} words", done.job.subject);
        turn.reply_to(&done.job.thread, text);
        Ok(())
    }
}

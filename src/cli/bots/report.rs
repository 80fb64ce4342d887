//! Answers a slash command at once, works for a while, and posts the result in the thread it began.

use std::time::Duration;

use crate::prelude::*;

/// How long the pretended work takes.
const WORK: Duration = Duration::from_secs(3);

/// Numbers the reports of each user.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(in crate::cli) struct Report {
    ordered: u32,
}

/// The slow work: deferred, durable, beside everything else.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::cli) struct Compile {
    number: u32,
    subject: String,
    /// The "working" message, whose thread the result goes to.
    thread: Posted,
}

impl Job for Compile {
    const NAME: &'static str = "report.compile";
    type Output = usize;

    async fn run(&self) -> Result<usize> {
        tokio::time::sleep(WORK).await;
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
        let number = self.ordered;
        let subject = match command.text.trim() {
            "" => "everything".to_owned(),
            text => text.to_owned(),
        };
        let thread = turn.say(format!(
            "<@{}> ordered report {number} on {subject}: working …",
            command.user
        ));
        turn.defer(&Compile {
            number,
            subject,
            thread,
        })?;
        Ok(Reply::ephemeral(format!(
            "Report {number} is on its way; it will be in the thread."
        )))
    }
}

impl On<Done<Compile>> for Report {
    async fn on(&mut self, done: Done<Compile>, turn: &mut Turn) -> Result<()> {
        let Compile {
            number,
            subject,
            thread,
        } = done.job;
        let text = match done.output {
            Ok(words) => format!("Report {number} on {subject} is done: {words} words considered."),
            Err(error) => format!("Report {number} on {subject} failed: {error}"),
        };
        turn.reply_to(&thread, text);
        Ok(())
    }
}

//! Slow work: a command is answered at once, the work runs beside everything else, its result goes to the thread.
//!
//! `cargo run --example report`, then run `/report the weather` on the page.

use callboard::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Report {
    ordered: u32,
}

/// The work and what it needs. It is stored with the turn that defers it, and runs again after a crash.
#[derive(Serialize, Deserialize)]
struct Compile {
    subject: String,
    thread: Posted,
}

impl Job for Compile {
    const NAME: &'static str = "report.compile";
    type Output = usize;

    async fn run(&self) -> Result<usize> {
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
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
        let (subject, number) = (command.text, self.ordered);
        let thread = turn.say(format!("Report {number}: working …"));
        turn.defer(&Compile { subject, thread })?;
        Ok(Reply::ephemeral("It will be in the thread."))
    }
}

impl On<Done<Compile>> for Report {
    async fn on(&mut self, done: Done<Compile>, turn: &mut Turn) -> Result<()> {
        let words = done.output?;
        turn.reply_to(&done.job.thread, format!("Done: {words} words"));
        Ok(())
    }
}

fn main() -> ExitCode {
    Callboard::from_env().handler::<Report>().run()
}

//! State per workspace: one process, one handler, and a tally of its own for each workspace.
//!
//! `cargo run --example two_workspaces`, then write "count" in different workspaces on the page. The third one
//! is connected over RTM instead of Socket Mode; the handler does not notice.

use callboard::prelude::*;

/// One Tally lives per workspace.
#[derive(Default, Serialize, Deserialize)]
struct Tally {
    counted: u32,
}

impl HandlerActor for Tally {
    const NAME: &'static str = "tally";

    fn routes(routes: &mut Routes<Self>) {
        routes.on::<Message>().containing("count").per_team();
    }
}

impl On<Message> for Tally {
    async fn on(&mut self, _: Message, turn: &mut Turn) -> Result<()> {
        self.counted += 1;
        turn.say(format!("{} in workspace {}", self.counted, turn.team()));
        Ok(())
    }
}

fn main() -> ExitCode {
    Callboard::from_env().handler::<Tally>().run()
}

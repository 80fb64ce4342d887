//! Greets who says hello, and counts per user: the first listing of the README.
//!
//! `cargo run --example greeter`, then write "hello" on the page, as one person and as another.

use callboard::prelude::*;

/// One Greeter lives per user of each workspace. Nothing is shared, nothing is locked.
#[derive(Default, Serialize, Deserialize)]
struct Greeter {
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
        self.greeted += 1;
        turn.say(format!(
            "Hello <@{}>, that makes {}",
            message.user, self.greeted
        ));
        Ok(())
    }
}

// The answer's type belongs to what is answered: a command wants a Reply.
impl On<Command> for Greeter {
    async fn on(&mut self, _: Command, _: &mut Turn) -> Result<Reply> {
        Ok(Reply::ephemeral(format!("{} so far", self.greeted)))
    }
}

fn main() -> ExitCode {
    Callboard::from_env().handler::<Greeter>().run()
}

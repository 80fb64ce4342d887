//! Greets who says hello, and counts per user.

use crate::prelude::*;

/// One Greeter lives per user of each workspace. Nothing is shared, nothing is locked.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(in crate::cli) struct Greeter {
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
        let text = format!("Hello <@{}>, that makes {}", message.user, self.greeted);
        // Who says hello in a thread is answered there.
        if message.thread_ts.is_some() {
            turn.reply(text);
        } else {
            turn.say(text);
        }
        Ok(())
    }
}

impl On<Command> for Greeter {
    async fn on(&mut self, _: Command, _: &mut Turn) -> Result<Reply> {
        Ok(Reply::ephemeral(format!("{} so far", self.greeted)))
    }
}

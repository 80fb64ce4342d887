//! State per thread: every message is repeated in its thread, with its number there.
//!
//! `cargo run --example echo_in_threads`, then write on the page, and answer in the thread that begins.

use callboard::prelude::*;

/// One Echo lives per thread; a message outside threads is the head of its own.
#[derive(Default, Serialize, Deserialize)]
struct Echo {
    heard: u32,
}

impl HandlerActor for Echo {
    const NAME: &'static str = "echo";

    fn routes(routes: &mut Routes<Self>) {
        // The app's own posts never come back to it. Other bots' do, and two that echo each other never end.
        let messages = &mut routes.on::<Message>();
        messages.when(|subject| subject.bot.is_empty()).per_thread();
    }
}

impl On<Message> for Echo {
    async fn on(&mut self, message: Message, turn: &mut Turn) -> Result<()> {
        self.heard += 1;
        turn.reply(format!("{}: {}", self.heard, message.text));
        Ok(())
    }
}

fn main() -> ExitCode {
    Callboard::from_env().handler::<Echo>().run()
}

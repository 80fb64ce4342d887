//! Bots of other scopes than the greeter, for events with several handlers, memos, and poison.

use std::time::Duration;

use callboard::prelude::*;
use tokio::time::sleep;

use super::go_wrong;

/// How long poison takes.
const POISON_AFTER: Duration = Duration::from_millis(400);

/// Numbers the greetings of each channel, and tells the tally of the workspace.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Clerk {
    noted: u32,
}

/// A greeting as its clerk noted it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Noted {
    user: UserId,
    number: u32,
}

impl Memo for Noted {
    const NAME: &'static str = "noted";
}

impl HandlerActor for Clerk {
    const NAME: &'static str = "clerk";

    fn routes(routes: &mut Routes<Self>) {
        routes.on::<Message>().containing("hello").per_channel();
    }
}

impl On<Message> for Clerk {
    async fn on(&mut self, message: Message, turn: &mut Turn) -> Result<()> {
        self.noted += 1;
        let (user, number) = (message.user, self.noted);
        turn.say(format!(
            "Noted <@{user}> in <#{}>, number {number}",
            message.channel
        ));
        let team = To::team(turn.team());
        turn.memo::<Tally, _>(&team, &Noted { user, number })?;
        go_wrong("clerk-", &message.text, turn.attempt())
    }
}

/// Counts what the clerks of its workspace noted.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    told: u32,
}

impl HandlerActor for Tally {
    const NAME: &'static str = "tally";

    fn routes(routes: &mut Routes<Self>) {
        routes.memo::<Noted>().per_team();
    }
}

impl On<Received<Noted>> for Tally {
    async fn on(&mut self, received: Received<Noted>, turn: &mut Turn) -> Result<()> {
        self.told += 1;
        let Noted { user, number } = received.memo;
        let text = format!(
            "Tally {}: <@{user}> was number {number} in <#{}>",
            self.told,
            turn.channel()
        );
        turn.say(text);
        Ok(())
    }
}

/// Sings; dies of poison, and takes the process with it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Canary {
    sang: u32,
}

impl HandlerActor for Canary {
    const NAME: &'static str = "canary";

    fn routes(routes: &mut Routes<Self>) {
        routes.on::<Message>().containing("canary").per_user();
    }
}

impl On<Message> for Canary {
    async fn on(&mut self, message: Message, turn: &mut Turn) -> Result<()> {
        self.sang += 1;
        turn.say(format!("Canary <@{}> sang {}", message.user, self.sang));
        if message.text.contains("poison") {
            // Not before the delivery is stored: what is not ours yet is delivered again.
            sleep(POISON_AFTER).await;
            std::process::abort();
        }
        Ok(())
    }
}

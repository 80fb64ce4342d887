//! Events of every type, also those that Callboard has no type for: their JSON is always there.
//!
//! `cargo run --example any_event`, then write on the page and run `/events`.

use std::collections::BTreeMap;

use callboard::prelude::*;

/// As much of one type as is needed here.
#[derive(Deserialize)]
struct Reaction {
    reaction: String,
    item: Item,
}

#[derive(Deserialize)]
struct Item {
    channel: ChannelId,
}

/// Counts what happens in each workspace, by type.
#[derive(Default, Serialize, Deserialize)]
struct Census {
    seen: BTreeMap<String, u32>,
}

impl HandlerActor for Census {
    const NAME: &'static str = "census";

    fn routes(routes: &mut Routes<Self>) {
        // `event("reaction_added")` would take that one type only.
        routes.event("*").per_team();
        routes.command("/events").per_team();
    }
}

impl On<Event> for Census {
    async fn on(&mut self, event: Event, turn: &mut Turn) -> Result<()> {
        if event.kind == "reaction_added" {
            let Reaction { reaction, item } = event.parse()?;
            turn.post(&item.channel, format!("Thanks for the :{reaction}:"));
        }
        *self.seen.entry(event.kind).or_default() += 1;
        Ok(())
    }
}

impl On<Command> for Census {
    async fn on(&mut self, _: Command, _: &mut Turn) -> Result<Reply> {
        Ok(Reply::ephemeral(format!("{:?}", self.seen)))
    }
}

fn main() -> ExitCode {
    Callboard::from_env().handler::<Census>().run()
}

//! One event and several handlers, one workspace and several apps: nobody pays for another, nothing mixes.

use std::collections::BTreeMap;

use callboard::prelude::*;
use callboard::sim::What;

use crate::bots::{Clerk, Greeter, Tally};
use crate::judge::{Bot, Rules};
use crate::stand::{Stand, shared, stand, until};

#[test]
fn rule_1_an_event_reaches_every_handler_and_one_that_fails_for_ever_takes_nothing_from_the_others()
{
    let mut stand = stand();
    stand
        .log
        .expect("a delivery is given up and kept as a dead letter");
    let running = stand.start_with(|host| {
        host.handler::<Greeter>()
            .handler::<Clerk>()
            .handler::<Tally>()
    });
    stand.says(0, 0, "hello");
    stand.says(0, 0, "hello clerk-fails=9");
    stand.says(0, 1, "hello");
    stand.says(1, 0, "hello clerk-panics=1");
    stand.answered(4);
    // The clerk of the first channel goes on once the failing one is given up.
    until("the clerk goes on", || {
        let posts = stand.posts();
        posts
            .iter()
            .filter(|text| text.starts_with("Tally"))
            .count()
            == 3
    });
    stand.all_acked();
    let rules = Rules {
        bots: &[Bot::Greeter, Bot::Clerk, Bot::Tally],
        given_up: &[(Bot::Clerk, "clerk-fails"), (Bot::Tally, "clerk-fails")],
        ..Rules::GREETER
    };
    let verdict = stand.settle(running, &rules);
    assert_eq!((verdict.owned, verdict.answered), (10, 10));
    let dead = stand.dead();
    assert_eq!(dead.len(), 1, "{dead:?}");
    let channel = stand.places[0].general.as_str();
    assert!(dead[0].key.starts_with("clerk/acme/"), "{dead:?}");
    assert!(dead[0].key.ends_with(channel), "{dead:?}");
    assert!(dead[0].error.contains("asked to fail"), "{dead:?}");
    assert!(dead[0].body.contains("clerk-fails=9"), "{dead:?}");
}

/// Counts per user, in words that ask nobody to count.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Counter {
    asked: u32,
}

impl HandlerActor for Counter {
    const NAME: &'static str = "counter";

    fn routes(routes: &mut Routes<Self>) {
        routes.on::<Message>().containing("count").per_user();
    }
}

impl On<Message> for Counter {
    async fn on(&mut self, _: Message, turn: &mut Turn) -> Result<()> {
        self.asked += 1;
        turn.say(format!("{} for {}", self.asked, turn.app()));
        Ok(())
    }
}

/// By app: what it posted, in order.
fn posts_of_apps(stand: &mut Stand) -> BTreeMap<String, Vec<String>> {
    let mut posts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in stand.record() {
        if let What::Call {
            method,
            app: Some(app),
            args,
            ok: true,
            ..
        } = &entry.what
            && method == "chat.postMessage"
        {
            let text = args["text"].as_str().unwrap().to_owned();
            posts.entry(app.as_str().to_owned()).or_default().push(text);
        }
    }
    posts
}

#[test]
fn rule_2_two_apps_in_one_workspace_share_no_state_of_the_same_user() {
    let mut stand = shared();
    let running = stand.start_with(Callboard::handler::<Counter>);
    for _ in 0..3 {
        stand.says(0, 0, "count");
    }
    // Only one of the apps is here.
    stand.says(1, 0, "count");
    until("both apps counted", || stand.posts().len() == 7);
    running.stop();
    let running = stand.start_with(Callboard::handler::<Counter>);
    stand.says(0, 0, "count");
    stand.says(0, 1, "count");
    until("both apps counted on", || stand.posts().len() == 11);
    running.stop();
    let posts = posts_of_apps(&mut stand);
    assert_eq!(posts.len(), 2, "{posts:?}");
    for (mut counted, name) in posts.into_values().zip(["acme", "classic"]) {
        counted.sort();
        let mut expected: Vec<String> = [1, 1, 2, 3, 4].map(|n| format!("{n} for {name}")).into();
        if name == "acme" {
            // The other workspace's.
            expected.insert(0, "1 for acme".to_owned());
        }
        assert_eq!(counted, expected);
    }
}

//! Messages between keys: each arrives once, none is lost in a restart, loops end, strays are kept.

use std::collections::BTreeSet;

use callboard::base::limits::HOPS_MAX;
use callboard::prelude::*;

use crate::bots::{Clerk, Greeter};
use crate::judge::{Bot, Record, Rules, judge};
use crate::sentinel::{has_logged, times_logged};
use crate::stand::{stand, until};

/// Counts the greetings of a user, and tells the board of the workspace.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Teller {
    greeted: u32,
}

/// A user's greeting.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    user: UserId,
    greeting: u32,
}

impl Memo for Told {
    const NAME: &'static str = "told";
}

impl HandlerActor for Teller {
    const NAME: &'static str = "teller";

    fn routes(routes: &mut Routes<Self>) {
        routes.on::<Message>().containing("hello").per_user();
    }
}

impl On<Message> for Teller {
    async fn on(&mut self, message: Message, turn: &mut Turn) -> Result<()> {
        self.greeted += 1;
        let told = Told {
            user: message.user,
            greeting: self.greeted,
        };
        let team = To::team(turn.team());
        turn.memo::<Board, _>(&team, &told)
    }
}

/// Numbers everything that the tellers of a workspace tell it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Board {
    heard: u32,
}

impl HandlerActor for Board {
    const NAME: &'static str = "board";

    fn routes(routes: &mut Routes<Self>) {
        routes.memo::<Told>().per_team();
    }
}

impl On<Received<Told>> for Board {
    async fn on(&mut self, received: Received<Told>, turn: &mut Turn) -> Result<()> {
        self.heard += 1;
        let Told { user, greeting } = received.memo;
        assert!(received.from.as_str().ends_with(user.as_str()));
        turn.say(format!("{} heard: {user} {greeting}", self.heard));
        Ok(())
    }
}

#[test]
fn rule_10_a_memo_arrives_exactly_once_and_none_is_lost_in_a_restart() {
    const EACH: usize = 12;
    let mut stand = stand();
    let host = |host: Callboard| host.handler::<Teller>().handler::<Board>();
    let mut expected = BTreeSet::new();
    for life in 0..3 {
        let running = stand.start_with(host);
        for n in 0..EACH * 5 {
            stand.says(0, n % 5, "hello");
        }
        for (user, n) in (0..5).flat_map(|user| (1..=EACH).map(move |n| (user, n))) {
            let user = stand.places[0].users[user].as_str();
            expected.insert(format!("{user} {}", life * EACH + n));
        }
        stand.all_acked();
        // Stopped in the middle of it, but in the end.
        if life == 2 {
            until("everything is heard", || {
                stand.posts().len() == 3 * 5 * EACH
            });
        }
        running.stop();
    }
    let posts = stand.posts();
    let (numbers, told): (Vec<String>, Vec<String>) = posts
        .iter()
        .map(|post| post.split_once(" heard: ").unwrap())
        .map(|(number, told)| (number.to_owned(), told.to_owned()))
        .unzip();
    let counted: Vec<String> = (1..=posts.len()).map(|n| n.to_string()).collect();
    assert_eq!(numbers, counted);
    assert_eq!(told.len(), expected.len());
    assert_eq!(BTreeSet::from_iter(told), expected);
}

/// Plays ball with another user's state: whoever gets the ball plays it back, for ever.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Player {
    got: u32,
}

#[derive(Debug, Serialize, Deserialize)]
struct Ball;

impl Memo for Ball {
    const NAME: &'static str = "ball";
}

impl HandlerActor for Player {
    const NAME: &'static str = "player";

    fn routes(routes: &mut Routes<Self>) {
        routes.on::<Message>().containing("serve to").per_user();
        routes
            .tagged::<Message, Score>()
            .containing("score")
            .per_user();
        routes.memo::<Ball>().per_user();
    }
}

impl On<Message> for Player {
    async fn on(&mut self, message: Message, turn: &mut Turn) -> Result<()> {
        let other = message.text.rsplit(' ').next().unwrap_or_default();
        turn.memo::<Self, _>(&To::user(&other.into()), &Ball)
    }
}

struct Score;

impl On<Message, Score> for Player {
    async fn on(&mut self, message: Message, turn: &mut Turn) -> Result<()> {
        turn.say(format!("{} got it {} times", message.user, self.got));
        Ok(())
    }
}

impl On<Received<Ball>> for Player {
    async fn on(&mut self, ball: Received<Ball>, turn: &mut Turn) -> Result<()> {
        self.got += 1;
        let from = ball.from.as_str();
        let from = from.rsplit('/').next().unwrap_or_default();
        turn.memo::<Self, _>(&To::user(&from.into()), &Ball)
    }
}

#[test]
fn rule_10_two_keys_that_write_to_each_other_for_ever_are_stopped_and_others_feel_nothing() {
    let mut stand = stand();
    stand
        .log
        .expect("a delivery is given up and kept as a dead letter");
    let running = stand.start_with(|host| host.handler::<Player>().handler::<Greeter>());
    let other = stand.places[0].users[1].clone();
    stand.says(0, 0, &format!("serve to {other}"));
    for n in 0..20 {
        stand.says(n % 2, n % 5, "hello");
    }
    stand.answered(20);
    until("the loop ends", || has_logged("a delivery is given up"));
    // The last of the memos is given up, whole: who got it has not counted it. His key goes on.
    for user in 0..2 {
        stand.says(0, user, "what is the score?");
    }
    let got = HOPS_MAX / 2;
    for (user, got) in [(0, got - 1), (1, got)] {
        let user = stand.places[0].users[user].clone();
        stand.posted(&format!("{user} got it {got} times"));
    }
    stand.all_acked();
    stand.settle(running, &Rules::GREETER);
    let dead = stand.dead();
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert!(dead[0].error.contains("a loop between keys"), "{dead:?}");
    let first = stand.places[0].users[0].as_str();
    assert!(dead[0].key.starts_with("player/acme/"), "{dead:?}");
    assert!(dead[0].key.ends_with(first), "{dead:?}");
}

#[test]
fn rule_10_a_memo_to_a_handler_that_is_not_there_is_a_dead_letter_and_its_sender_goes_on() {
    let mut stand = stand();
    stand.log.expect("see `callboard inspect dead`");
    let running = stand.start_with(Callboard::handler::<Clerk>);
    for n in 0..3 {
        stand.says(0, n, "hello");
    }
    until("the clerk noted all", || stand.posts().len() == 3);
    stand.all_acked();
    let rules = Rules {
        bots: &[Bot::Clerk],
        ..Rules::GREETER
    };
    running.stop();
    judge(&Record::of(stand.record()), &rules).assert_kept();
    let dead = stand.dead();
    assert_eq!(dead.len(), 3, "{dead:?}");
    assert_eq!(times_logged("see `callboard inspect dead`"), 3, "each once");
    for letter in &dead {
        assert!(
            letter.error.contains("no handler has a route"),
            "{letter:?}"
        );
        assert!(letter.name.ends_with("/clerk#1"), "{letter:?}");
        assert!(letter.body.contains("tally/acme/"), "{letter:?}");
    }
}

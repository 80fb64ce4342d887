//! Calls inside a turn: reads are awaited, writes are recorded, and what they post can be named before and after it
//! has a `ts`.

use callboard::app::Ended;
use callboard::prelude::*;
use callboard::sim::What;

use crate::sentinel::has_logged;
use crate::stand::{Stand, stand, until};

/// Says who somebody is.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Usher;

impl HandlerActor for Usher {
    const NAME: &'static str = "usher";

    fn routes(routes: &mut Routes<Self>) {
        routes.on::<Message>().containing("who is").per_user();
    }
}

impl On<Message> for Usher {
    async fn on(&mut self, message: Message, turn: &mut Turn) -> Result<()> {
        let user = message.text.rsplit(' ').next().unwrap_or_default();
        let asked = turn.read(&read::UsersInfo { user: user.into() }).await;
        let text = match asked {
            Ok(info) => format!("that is {}", info["user"]["name"]),
            Err(error) => format!("I can't tell: {error}"),
        };
        turn.say(text);
        Ok(())
    }
}

#[test]
fn rule_11_a_turn_waits_for_what_it_reads_and_learns_of_a_refusal() {
    let mut stand = stand();
    let running = stand.start_with(Callboard::handler::<Usher>);
    for place in [0, 2] {
        let bob = stand.places[place].users[1].clone();
        stand.says(place, 0, &format!("who is {bob}"));
    }
    until("both are told", || {
        let posts = stand.posts();
        posts.iter().filter(|it| *it == "that is \"bob\"").count() == 2
    });
    stand.says(0, 0, "who is U404");
    until("the refusal is told", || {
        let posts = stand.posts();
        let refusal = posts.iter().find(|it| it.starts_with("I can't tell: "));
        refusal.is_some_and(|text| text.contains("user_not_found"))
    });
    stand.all_acked();
    running.stop();
    let asked = |what: &What| matches!(what, What::Call { method, .. } if method == "users.info");
    let record = stand.record();
    assert_eq!(record.iter().filter(|it| asked(&it.what)).count(), 3);
}

/// Books a seat by a call whose answer it needs, and keeps the ticket.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Booker {
    tickets: Vec<String>,
}

impl HandlerActor for Booker {
    const NAME: &'static str = "booker";

    fn routes(routes: &mut Routes<Self>) {
        routes.on::<Message>().containing("book").per_user();
    }
}

impl On<Message> for Booker {
    async fn on(&mut self, message: Message, turn: &mut Turn) -> Result<()> {
        let args = serde_json::json!({"channel": message.channel, "text": message.text});
        let serde_json::Value::Object(args) = args else {
            return Err("an object".into());
        };
        let posted = turn.call_at_least_once("chat.postMessage", args).await?;
        let ticket = posted["ts"].as_str().ok_or("no ticket")?;
        self.tickets.push(ticket.to_owned());
        turn.say(format!("tickets {}", self.tickets.join(" and ")));
        if message.text.contains("twice") && turn.attempt() == 1 {
            return Err("asked to fail after its call".into());
        }
        Ok(())
    }
}

/// The `ts` of each successful post of `text`.
fn booked(stand: &mut Stand, text: &str) -> Vec<String> {
    let ts = |what: &What| match what {
        What::Call {
            method,
            args,
            ok: true,
            ts: Some(ts),
            ..
        } if method == "chat.postMessage" && args["text"] == text => Some(ts.as_str().to_owned()),
        _ => None,
    };
    let record = stand.record();
    record.iter().filter_map(|it| ts(&it.what)).collect()
}

#[test]
fn rule_11_a_call_at_least_once_answers_in_its_turn_and_is_made_again_when_the_turn_is() {
    let mut stand = stand();
    let running = stand.start_with(Callboard::handler::<Booker>);
    stand.says(0, 0, "book a seat");
    // Right behind: its call waits until the first turn's commit is durable.
    stand.says(0, 0, "book it twice");
    until("both turns are answered", || stand.posts().len() == 5);
    stand.all_acked();
    assert_eq!(running.stop(), Ended::Settled);
    let first = booked(&mut stand, "book a seat");
    let second = booked(&mut stand, "book it twice");
    assert_eq!((first.len(), second.len()), (1, 2), "once, and once again");
    // Of the turn that failed nothing is left but its call.
    let (first, second) = (&first[0], &second[1]);
    let told = [
        format!("tickets {first}"),
        format!("tickets {first} and {second}"),
    ];
    let posts = stand.posts();
    let tickets: Vec<&String> = posts
        .iter()
        .filter(|it| it.starts_with("tickets"))
        .collect();
    assert_eq!(tickets, told.iter().collect::<Vec<_>>());
    assert!(has_logged("asked to fail after its call"));
}

/// Keeps a message of its own, and does things to it when somebody says so.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Poster {
    kept: Option<Posted>,
}

impl HandlerActor for Poster {
    const NAME: &'static str = "poster";

    fn routes(routes: &mut Routes<Self>) {
        routes.on::<Message>().containing("poster:").per_channel();
    }
}

impl On<Message> for Poster {
    async fn on(&mut self, message: Message, turn: &mut Turn) -> Result<()> {
        if message.text.contains("put up") {
            let posted = turn.say("the poster");
            // Before anybody knows its ts.
            turn.reply_to(&posted, "in its own turn");
            self.kept = Some(posted);
            return Ok(());
        }
        let kept = self.kept.as_ref().ok_or("there is no poster")?;
        turn.reply_to(kept, "in a later turn");
        turn.update(kept, "the poster, mended");
        turn.react(kept, "tada");
        Ok(())
    }
}

/// Successful calls of `method`: the argument `of`, and the message that resulted.
fn calls(stand: &mut Stand, method: &str, of: &str) -> Vec<(Option<String>, String)> {
    let call = |what: &What| match what {
        What::Call {
            method: called,
            args,
            ok: true,
            ts,
            ..
        } if called == method => {
            let argument = args.get(of).and_then(serde_json::Value::as_str);
            let ts = ts.as_ref().map(|ts| ts.as_str().to_owned());
            Some((argument.map(str::to_owned), ts.unwrap_or_default()))
        }
        _ => None,
    };
    let record = stand.record();
    record.iter().filter_map(|it| call(&it.what)).collect()
}

#[test]
fn rule_11_a_handle_kept_in_the_state_is_thread_and_target_in_later_turns_and_after_a_restart() {
    let mut stand = stand();
    let running = stand.start_with(Callboard::handler::<Poster>);
    stand.says(0, 0, "poster: put up");
    stand.says(0, 1, "poster: mend");
    until("it is mended", || {
        calls(&mut stand, "reactions.add", "timestamp").len() == 1
    });
    running.stop();
    let running = stand.start_with(Callboard::handler::<Poster>);
    stand.says(0, 2, "poster: mend");
    // Slack says `already_reacted` to the second reaction: that is no failure, and no dead letter.
    until("it is mended again", || {
        let again = |what: &What| matches!(what, What::Call { error: Some(error), .. } if error == "already_reacted");
        stand.record().iter().any(|entry| again(&entry.what))
    });
    stand.all_acked();
    running.stop();
    let posts = calls(&mut stand, "chat.postMessage", "thread_ts");
    let [(None, head), replies @ ..] = posts.as_slice() else {
        panic!("{posts:?}");
    };
    let in_thread = |(thread, _): &(Option<String>, String)| thread.as_ref() == Some(head);
    assert_eq!(replies.len(), 3, "{posts:?}");
    assert!(replies.iter().all(in_thread), "{posts:?}");
    let updates = calls(&mut stand, "chat.update", "ts");
    assert_eq!(updates.len(), 2, "{updates:?}");
    assert!(updates.iter().all(in_thread), "{updates:?}");
    let reactions = calls(&mut stand, "reactions.add", "timestamp");
    assert!(reactions.iter().all(in_thread), "{reactions:?}");
    let dead = stand.dead();
    assert!(dead.is_empty(), "{dead:?}");
}

//! Which envelopes reach whom, and which wiring is refused.

use bytes::Bytes;
use serde_json::json;

use super::*;
use crate::bot::Result;
use crate::bot::answer::Reply;
use crate::bot::handler::{HandlerActor, On};
use crate::bot::incoming::Event;
use crate::bot::job::{Done, Job};
use crate::bot::route::Routes;
use crate::bot::turn::Turn;
use crate::flow::envelope::{Kind, Origin};
use crate::flow::key::AppName;
use crate::slack::event::{Command, Message};
use crate::slack::id::TeamId;
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
struct Greeter;

impl HandlerActor for Greeter {
    const NAME: &'static str = "greeter";
    fn routes(routes: &mut Routes<Self>) {
        routes.on::<Message>().containing("Hello").per_user();
        routes.on::<Message>().containing("team").per_team();
        routes.command("/greeted").per_user();
        routes.job::<Count>();
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Count;

impl Job for Count {
    const NAME: &'static str = "count";
    type Output = u32;
    async fn run(&self) -> Result<u32> {
        Ok(1)
    }
}

impl On<Message> for Greeter {
    async fn on(&mut self, _: Message, _: &mut Turn) -> Result<()> {
        Ok(())
    }
}

impl On<Command> for Greeter {
    async fn on(&mut self, _: Command, _: &mut Turn) -> Result<Reply> {
        Ok(Reply::none())
    }
}

impl On<Done<Count>> for Greeter {
    async fn on(&mut self, _: Done<Count>, _: &mut Turn) -> Result<()> {
        Ok(())
    }
}

/// Hears everything, per thread; one of its routes always panics.
#[derive(Default, Serialize, Deserialize)]
struct Ear;

impl HandlerActor for Ear {
    const NAME: &'static str = "ear";
    fn routes(routes: &mut Routes<Self>) {
        routes
            .event("reaction_added")
            .when(|_| panic!("a fault of the author's"));
        routes.event("*").per_thread();
    }
}

impl On<Event> for Ear {
    async fn on(&mut self, _: Event, _: &mut Turn) -> Result<()> {
        Ok(())
    }
}

fn router() -> Router {
    Router::new(vec![
        Registration::of::<Greeter>(),
        Registration::of::<Ear>(),
    ])
    .unwrap()
}

fn event(event: &serde_json::Value) -> Envelope {
    let payload = json!({"team_id": "T1", "event_id": "Ev1", "event": event}).to_string();
    read(Kind::Event, payload)
}

fn read(kind: Kind, payload: String) -> Envelope {
    let origin = Origin {
        app: &AppName::new("acme"),
        envelope_id: "e",
        team: TeamId::default(),
    };
    Envelope::read(kind, &origin, Bytes::from(payload), 0).unwrap()
}

fn targets(envelope: &Envelope) -> Vec<(String, usize)> {
    router()
        .targets(envelope)
        .into_iter()
        .map(|target| (target.key.as_str().to_owned(), target.route))
        .collect()
}

#[test]
fn rule_1_every_handler_gets_it_and_within_one_the_first_matching_route() {
    let message = json!({"type": "message", "user": "U1", "channel": "C1", "ts": "1.2", "text": "hello team"});
    assert_eq!(
        targets(&event(&message)),
        [
            ("greeter/acme/T1/user/U1".to_owned(), 0),
            ("ear/acme/T1/thread/C1/1.2".to_owned(), 1)
        ]
    );
}

#[test]
fn rule_2_what_lacks_the_keys_field_does_not_match_and_a_panicking_predicate_neither() {
    let nobody = json!({"type": "message", "channel": "C1", "ts": "1.2", "text": "hello"});
    assert_eq!(
        targets(&event(&nobody)).len(),
        1,
        "no user, so not per user"
    );
    let reaction = json!({"type": "reaction_added", "user": "U1"});
    assert_eq!(targets(&event(&reaction)), [], "no thread either");
}

#[test]
fn edits_and_joins_are_no_messages_of_people() {
    for subtype in ["message_changed", "channel_join", "of_next_year"] {
        let edit = json!({"type": "message", "subtype": subtype, "user": "U1", "text": "hello"});
        assert_eq!(targets(&event(&edit)), [], "{subtype}");
    }
}

#[test]
fn a_jobs_result_goes_back_to_the_key_that_asked_and_to_nobody_else() {
    let result = json!({
        "effect": "acme/Ev1/greeter#0", "name": "count", "key": "greeter/acme/T1/user/U9", "hops": 0,
        "context": {"team": "T1", "user": "U9", "channel": "C1", "ts": "", "thread_ts": ""},
        "input": "null", "output": {"Ok": "1"},
    });
    let result = read(Kind::JobResult, result.to_string());
    assert_eq!(
        targets(&result),
        [("greeter/acme/T1/user/U9".to_owned(), 3)]
    );
}

#[test]
fn a_stored_delivery_keeps_its_key_and_one_whose_handler_is_gone_has_no_target() {
    let message =
        json!({"type": "message", "user": "U1", "channel": "C1", "ts": "1.2", "text": "hello"});
    let envelope = event(&message);
    let old = Key::from_stored("greeter/acme/T1/channel/C1");
    assert_eq!(router().target_of(&old, &envelope).unwrap().key, old);
    let gone = Key::from_stored("gone/acme/T1/user/U1");
    assert_eq!(router().target_of(&gone, &envelope), None);
}

#[derive(Default, Serialize, Deserialize)]
struct Wrong;

impl HandlerActor for Wrong {
    const NAME: &'static str = "wr/ong";
    fn routes(routes: &mut Routes<Self>) {
        routes.command("/greeted").per_user();
        routes.command("nope").per_user();
    }
}

impl On<Command> for Wrong {
    async fn on(&mut self, _: Command, _: &mut Turn) -> Result<Reply> {
        Ok(Reply::none())
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Deaf;

impl HandlerActor for Deaf {
    const NAME: &'static str = "deaf";
    fn routes(_: &mut Routes<Self>) {}
}

#[test]
fn rule_1_a_command_with_two_answers_and_every_other_fault_of_the_wiring_is_told_at_once() {
    let handlers = vec![
        Registration::of::<Greeter>(),
        Registration::of::<Greeter>(),
        Registration::of::<Wrong>(),
        Registration::of::<Deaf>(),
    ];
    let faults = Router::new(handlers).unwrap_err();
    let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
    for expected in [
        "two handlers have the NAME \"greeter\"",
        "two jobs have the NAME \"count\"",
        "handler \"wr/ong\": a NAME has",
        "command /greeted is answered by \"greeter\" and by \"wr/ong\"",
        "the command \"nope\" must begin with `/`",
        "handler \"deaf\" has no route",
    ] {
        assert!(
            told.iter().any(|fault| fault.contains(expected)),
            "{expected}: {told:#?}"
        );
    }
}

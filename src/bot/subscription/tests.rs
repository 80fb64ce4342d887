//! Subscriptions and dispatchers, without a runtime.

use std::sync::Mutex;

use bytes::Bytes;

use super::*;
use crate::bot::dispatcher::Dispatcher;
use crate::flow::envelope::{Envelope, Origin};
use crate::flow::key::AppName;
use crate::slack::event::{Command, Message};
use crate::slack::id::TeamId;

/// What came back, in short.
#[derive(Default)]
struct Ends(Mutex<Vec<(u64, String)>>);

impl Settle for Ends {
    fn end(&self, slot: u64, end: End) {
        let told = match end {
            End::Done(settled) => format!(
                "done {} {}",
                settled.effects.len(),
                settled.answer.map_or(String::new(), |it| it.to_string())
            ),
            End::Failed(error) => error,
            End::Unread => "unread".to_owned(),
        };
        self.0.lock().unwrap().push((slot, told));
    }
}

impl Ends {
    fn take(&self) -> Vec<(u64, String)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn lent(ends: &Arc<Ends>, slot: u64, kind: &str) -> Lent {
    let app = AppName::new("acme");
    let origin = Origin {
        app: &app,
        envelope_id: "",
        team: TeamId::default(),
    };
    let payload = format!(
        r#"{{"event_id":"Ev{slot}","team_id":"T1","event":{{"type":"{kind}","channel":"C1","user":"U1","ts":"1.{slot}","text":"hi"}}}}"#
    );
    let envelope = Envelope::read(Kind::Event, &origin, Bytes::from(payload), 0).unwrap();
    let settle: Arc<Ends> = Arc::clone(ends);
    Lent {
        envelope: Arc::new(envelope),
        slot,
        attempt: 1,
        settle,
    }
}

fn fed(kinds: &[&str]) -> (Arc<Feed>, Subscription, Arc<Ends>) {
    let (feed, ends) = (Arc::new(Feed::default()), Arc::new(Ends::default()));
    for (slot, kind) in (1..).zip(kinds) {
        feed.put(lent(&ends, slot, kind));
    }
    (Arc::clone(&feed), Subscription::new(feed), ends)
}

#[test]
fn read_all_gives_what_is_there_and_never_waits() {
    let (feed, mut items, ends) = fed(&["message", "team_join"]);
    assert_eq!(items.len(), 2);
    let all = items.read_all();
    let seen: Vec<(&str, &str)> = all.iter().map(|item| (item.kind(), item.id())).collect();
    assert_eq!(seen, [("message", "Ev1"), ("team_join", "Ev2")]);
    assert!(items.read_all().is_empty() && items.is_empty());
    assert!(ends.take().is_empty(), "reading confirms nothing");
    feed.put(lent(&ends, 3, "message"));
    assert_eq!(items.read_all().len(), 1);
    assert_eq!(ends.take().len(), 1, "that one was dropped");
    drop(all);
    assert_eq!(ends.take().len(), 2);
}

#[test]
fn an_item_ends_once_as_it_is_told_or_as_failed() {
    let (_feed, mut items, ends) = fed(&["message"; 4]);
    let mut all = items.read_all().into_iter();
    let mut next = || all.next().unwrap();
    let mut said = next();
    said.say("one");
    said.reply("two");
    said.done();
    next().respond(&"answer").unwrap();
    next().fail("no luck");
    drop(next());
    let told: Vec<String> = ends.take().into_iter().map(|(_, told)| told).collect();
    assert_eq!(
        told,
        [
            "done 2 ",
            "done 0 \"answer\"",
            "no luck",
            "it was dropped unfinished"
        ]
    );
}

#[test]
fn an_item_is_read_as_the_types_that_handlers_receive() {
    let (_feed, mut items, _ends) = fed(&["message"]);
    let item = items.read_within(Duration::ZERO).unwrap();
    assert_eq!(item.read::<Message>().unwrap().text, "hi");
    let error = item.read::<Command>().unwrap_err().to_string();
    assert!(error.starts_with("message is no "), "{error}");
    item.done();
    assert!(items.read_within(Duration::ZERO).is_none());
}

#[test]
fn a_blocked_reader_is_woken_by_an_item_and_by_the_end() {
    let (feed, mut items, ends) = fed(&[]);
    let reader = std::thread::spawn(move || {
        let first = items.read().map(|item| {
            let id = item.id().to_owned();
            item.done();
            id
        });
        (first, items.read().is_none())
    });
    feed.put(lent(&ends, 7, "message"));
    while ends.0.lock().unwrap().is_empty() {
        std::thread::yield_now();
    }
    feed.close();
    assert_eq!(reader.join().unwrap(), (Some("Ev7".to_owned()), true));
    feed.put(lent(&ends, 8, "message"));
    assert_eq!(ends.take().last().unwrap(), &(8, "unread".to_owned()));
}

#[actix_rt::test]
async fn a_stream_gives_items_as_they_come_and_ends_with_the_process() {
    use futures_util::StreamExt;
    let (feed, mut items, ends) = fed(&["message"]);
    items.next().await.unwrap().done();
    let (feed_too, ends_too) = (Arc::clone(&feed), Arc::clone(&ends));
    let filling = std::thread::spawn(move || feed_too.put(lent(&ends_too, 2, "message")));
    items.next().await.unwrap().done();
    filling.join().unwrap();
    feed.close();
    assert!(items.next().await.is_none());
    assert_eq!(ends.take().len(), 2);
}

#[test]
fn what_was_not_read_is_given_back_when_the_reader_goes() {
    let (_feed, items, ends) = fed(&["message"; 2]);
    drop(items);
    let unread = |slot| (slot, "unread".to_owned());
    assert_eq!(ends.take(), [unread(1), unread(2)]);
}

#[test]
fn a_dispatcher_calls_by_type_and_for_every_type_and_stops_at_a_failure() {
    let (_feed, mut items, ends) = fed(&["message", "team_join", "pin_added"]);
    let called = Mutex::new(Vec::new());
    let note = |word: &'static str| called.lock().unwrap().push(word);
    let mut dispatcher = Dispatcher::new()
        .on("message", |_| {
            note("message");
            Ok(())
        })
        .on("team_join", |_| Err("full house".into()))
        .on("*", |_| {
            note("any");
            Ok(())
        });
    let counts: Vec<usize> = items
        .read_all()
        .into_iter()
        .map(|item| dispatcher.dispatch(item))
        .collect();
    assert_eq!(counts, [2, 1, 1]);
    drop(dispatcher);
    assert_eq!(*called.lock().unwrap(), ["message", "any", "any"]);
    let failed = (2, "full house".to_owned());
    assert_eq!(ends.take()[1], failed);
}

#[test]
fn an_interest_takes_what_it_names_and_nothing_else() {
    let interest = Interest::new("loop")
        .event("message")
        .command("/x")
        .interaction("*");
    let subject = |name: &str| Subject {
        name: name.into(),
        ..Subject::default()
    };
    let is_wanted = |kind, name| {
        let subject = subject(name);
        let mut matchers = interest.matchers.iter();
        matchers.any(|matcher| matcher.is_taken_by(kind, &subject))
    };
    assert!(is_wanted(Kind::Event, "message") && is_wanted(Kind::RtmEvent, "message"));
    assert!(is_wanted(Kind::Command, "/x") && is_wanted(Kind::Interaction, "block_actions"));
    assert!(!is_wanted(Kind::Event, "team_join") && !is_wanted(Kind::Command, "/y"));
    assert!(!is_wanted(Kind::Memo, "message"));
    let every = Interest::new("all").event("*");
    assert!(every.matchers[0].is_taken_by(Kind::Event, &subject("of_next_year")));
}

//! The inbox against the rules of a delivery's life.

mod exhuming;

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::sync::mpsc;

use super::*;
use crate::base::clock::Clock;
use crate::base::limits::{KEY_MAILBOX_MAX, MARKS_IN_MEMORY};
use crate::bot::activation::{Outcome, Registration};
use crate::flow::ack::Released;
use crate::flow::envelope::{Kind, Origin};
use crate::flow::gate::Gate;
use crate::flow::key::AppName;
use crate::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Greeter;

impl HandlerActor for Greeter {
    const NAME: &'static str = "greeter";
    fn routes(routes: &mut Routes<Self>) {
        routes.on::<Message>().per_user();
        routes.command("/greeted").per_user();
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Second;

impl HandlerActor for Second {
    const NAME: &'static str = "second";
    fn routes(routes: &mut Routes<Self>) {
        routes.on::<Message>().containing("both").per_channel();
    }
}

impl On<Message> for Greeter {
    async fn on(&mut self, _: Message, _: &mut Turn) -> Result<()> {
        Ok(())
    }
}

impl On<Message> for Second {
    async fn on(&mut self, _: Message, _: &mut Turn) -> Result<()> {
        Ok(())
    }
}

impl On<Command> for Greeter {
    async fn on(&mut self, _: Command, _: &mut Turn) -> Result<Reply> {
        Ok(Reply::none())
    }
}

/// A shard whose outputs are written down as words.
struct Shard {
    machine: Machine,
    now: Instant,
    gate: Gate,
    socket: mpsc::Sender<Released>,
    acks: mpsc::Receiver<Released>,
    next_seq: u64,
    slots: Vec<(String, u64)>,
}

impl Shard {
    fn new() -> Self {
        let now = Clock::system().now();
        let handlers = vec![Registration::of::<Greeter>(), Registration::of::<Second>()];
        let router = Arc::new(Router::new(handlers).unwrap());
        let (socket, acks) = mpsc::channel(1000);
        Self {
            machine: Machine::new(router, Installs::default(), Dedupe::new(now, 10_000, 9_000)),
            now,
            gate: Gate::new(1000),
            socket,
            acks,
            next_seq: 1,
            slots: Vec::new(),
        }
    }

    /// A shard where U1's greeter is resident and idle.
    fn warm() -> Self {
        let mut shard = Self::new();
        shard.message("Ev0", "U1", "hi");
        shard.commit("Ev0/greeter");
        shard.durable();
        shard
    }

    fn arrival(&self, kind: Kind, envelope_id: &str, payload: &serde_json::Value) -> Arrival {
        let origin = Origin {
            app: &AppName::new("a"),
            envelope_id,
            team: TeamId::default(),
        };
        let payload = Bytes::from(payload.to_string());
        Arrival {
            envelope: Envelope::read(kind, &origin, payload, 0).unwrap(),
            ack: Some(Ack {
                place: self.socket.clone().try_reserve_owned().unwrap(),
                envelope_id: envelope_id.into(),
            }),
            permit: self.gate.try_enter().unwrap(),
            is_retry: false,
        }
    }

    fn event(&self, id: &str, user: &str, text: &str, happened_s: u64) -> Arrival {
        let event =
            json!({"type": "message", "user": user, "channel": "C1", "ts": "1.2", "text": text});
        let payload =
            json!({"team_id": "T1", "event_id": id, "event_time": happened_s, "event": event});
        self.arrival(Kind::Event, id, &payload)
    }

    fn message(&mut self, id: &str, user: &str, text: &str) -> Vec<String> {
        let arrival = self.event(id, user, text, 10_000);
        self.step(Input::Arrived(vec![arrival]))
    }

    fn command(&mut self, id: &str) -> Vec<String> {
        let payload = json!({"command": "/greeted", "team_id": "T1", "channel_id": "C1", "user_id": "U1",
            "response_url": "http://hooks/1"});
        let arrival = self.arrival(Kind::Command, id, &payload);
        self.step(Input::Arrived(vec![arrival]))
    }

    fn commit(&mut self, delivery: &str) -> Vec<String> {
        self.commit_with(delivery, None)
    }

    fn commit_with(&mut self, delivery: &str, answer: Option<&str>) -> Vec<String> {
        let outcome = Outcome {
            state: None,
            version: 1,
            effects: Vec::new(),
            answer: answer.and_then(ephemeral),
        };
        self.end(delivery, TurnResult::Commit(outcome))
    }

    fn end(&mut self, delivery: &str, result: TurnResult) -> Vec<String> {
        let at = self
            .slots
            .iter()
            .position(|(id, _)| id == &format!("a/{delivery}"))
            .unwrap_or_else(|| panic!("{delivery} was not delivered: {:?}", self.slots));
        let (_, slot) = self.slots.remove(at);
        self.step(Input::TurnEnded(slot, result))
    }

    fn durable(&mut self) -> Vec<String> {
        self.step(Input::Durable(self.next_seq - 1))
    }

    fn wait(&mut self, wait: Duration) -> Vec<String> {
        self.now += wait;
        self.step(Input::Tick)
    }

    fn step(&mut self, input: Input) -> Vec<String> {
        let mut out = Vec::new();
        self.machine.step(self.now, input, &mut out);
        let first = self.next_seq;
        let mut told = Vec::new();
        for output in out {
            told.extend(self.tell(output));
        }
        if self.next_seq > first {
            self.machine.submitted(first);
        }
        while let Ok(released) = self.acks.try_recv() {
            let answer = released.answer.map(|answer| answer.get().to_owned());
            told.push(
                format!(
                    "ack {} {}",
                    released.envelope_id,
                    answer.unwrap_or_default()
                )
                .trim_end()
                .to_owned(),
            );
        }
        told
    }

    fn tell(&mut self, output: Output) -> Option<String> {
        Some(match output {
            Output::Deliver(delivery, _) => {
                self.slots.push((delivery.id(), delivery.slot));
                format!("deliver {}", delivery.id())
            }
            Output::Submit(record, mark) => {
                let seq = self.next_seq;
                self.next_seq += 1;
                let marked = if mark.is_some() { " marked" } else { "" };
                match record {
                    Record::Row {
                        envelope, is_held, ..
                    } => {
                        format!(
                            "row {seq} {}{}{marked}",
                            envelope.id,
                            if is_held { " held" } else { "" }
                        )
                    }
                    Record::Turn {
                        delivery,
                        row,
                        effects,
                        ..
                    } => {
                        format!(
                            "turn {delivery} row {row:?} effects {}{marked}",
                            effects.len()
                        )
                    }
                    Record::DeadDelivery { row, error, .. } => {
                        format!("dead row {row:?} {error}{marked}")
                    }
                    other => format!("{other:?}"),
                }
            }
            Output::Ack(ack, answer) => {
                ack.release(answer);
                return None;
            }
            Output::Perform(effects) => format!("perform {}", effects.len()),
            Output::ReadRows(key, rows) => format!("read {key} {rows:?}"),
            Output::ReadMark(number, _) => format!("look up {number}"),
            Output::Exhumed => "exhumed".to_owned(),
        })
    }
}

#[test]
fn rule_3_a_fast_turn_costs_one_write_and_its_ack_means_handled() {
    let mut shard = Shard::warm();
    assert_eq!(
        shard.message("Ev1", "U1", "hi"),
        ["deliver a/Ev1/greeter"],
        "dispatch first"
    );
    assert_eq!(
        shard.commit("Ev1/greeter"),
        ["turn a/Ev1/greeter row None effects 0 marked"]
    );
    assert_eq!(
        shard.wait(Duration::from_millis(5)),
        [""; 0],
        "no row after its own commit"
    );
    assert_eq!(shard.durable(), ["ack Ev1"], "and only now");
    assert_eq!(shard.machine.unsettled(), 0);
    assert_eq!(shard.gate.inside(), 0, "its permit is given back");
}

#[test]
fn rule_3_what_is_unfinished_after_a_millisecond_is_stored_and_acked() {
    let mut shard = Shard::warm();
    shard.message("Ev1", "U1", "hi");
    assert_eq!(shard.wait(Duration::from_millis(1)), ["row 3 a/Ev1 marked"]);
    assert_eq!(shard.durable(), ["ack Ev1"]);
    assert_eq!(
        shard.commit("Ev1/greeter"),
        ["turn a/Ev1/greeter row Some(3) effects 0"]
    );
    assert_eq!(shard.durable(), [""; 0], "one ack");
    assert_eq!(shard.machine.unsettled(), 0);
}

#[test]
fn rule_3_a_busy_or_new_key_is_stored_at_once() {
    let mut shard = Shard::new();
    assert_eq!(
        shard.message("Ev1", "U1", "hi"),
        ["deliver a/Ev1/greeter", "row 1 a/Ev1 marked"]
    );
    assert_eq!(
        shard.message("Ev2", "U1", "hi"),
        ["deliver a/Ev2/greeter", "row 2 a/Ev2 marked"]
    );
}

#[test]
fn rule_1_one_event_for_two_handlers_is_acked_when_both_are_durable() {
    let mut shard = Shard::warm();
    shard.message("Ev1", "U1", "both");
    // The second handler's key is new, so it has a row; the first commits.
    assert_eq!(shard.durable(), [""; 0], "one of two");
    assert_eq!(
        shard.commit("Ev1/greeter"),
        ["turn a/Ev1/greeter row None effects 0"]
    );
    assert_eq!(shard.durable(), ["ack Ev1"]);
    assert_eq!(shard.gate.inside(), 1, "the second still runs");
    shard.commit("Ev1/second");
    shard.durable();
    assert_eq!(shard.gate.inside(), 0);
}

#[test]
fn rule_8_duplicates_join_the_ack_or_are_acked_at_once_and_never_run() {
    let mut shard = Shard::warm();
    shard.message("Ev1", "U1", "hi");
    assert_eq!(
        shard.message("Ev1", "U1", "hi"),
        [""; 0],
        "not durable yet: it joins"
    );
    shard.commit("Ev1/greeter");
    assert_eq!(shard.durable(), ["ack Ev1", "ack Ev1"]);
    assert_eq!(shard.message("Ev1", "U1", "hi"), ["ack Ev1"]);
    assert_eq!(shard.machine.counted.duplicates, 2);
}

#[test]
fn rule_8_old_retries_are_looked_up_on_disk_and_young_ones_are_not() {
    let mut shard = Shard::new();
    let retry = |shard: &Shard, id: &str, happened_s| Arrival {
        is_retry: true,
        ..shard.event(id, "U1", "hi", happened_s)
    };
    let young = retry(&shard, "Ev1", 9_500);
    assert_eq!(
        shard.step(Input::Arrived(vec![young])).len(),
        2,
        "delivered and stored"
    );
    let old = retry(&shard, "Ev2", 8_000);
    let told = shard.step(Input::Arrived(vec![old]));
    let number = told[0].strip_prefix("look up ").unwrap().parse().unwrap();
    assert_eq!(
        shard.step(Input::MarkRead(number, true)),
        ["ack Ev2"],
        "known"
    );
    let unknown = retry(&shard, "Ev3", 8_000);
    let told = shard.step(Input::Arrived(vec![unknown]));
    let number = told[0].strip_prefix("look up ").unwrap().parse().unwrap();
    assert_eq!(
        shard.step(Input::MarkRead(number, false)).len(),
        2,
        "new after all"
    );
}

#[test]
fn rule_4_an_answer_in_time_rides_in_the_ack() {
    let mut shard = Shard::warm();
    assert_eq!(
        shard.command("c1"),
        ["deliver a/c1/greeter", "row 3 a/c1 held marked"]
    );
    assert_eq!(shard.durable(), [""; 0], "the ack is held");
    shard.commit_with("c1/greeter", Some("5 so far"));
    assert_eq!(
        shard.durable(),
        [r#"ack c1 {"response_type":"ephemeral","text":"5 so far"}"#]
    );
    assert_eq!(shard.wait(Duration::from_secs(3)), [""; 0]);
}

#[test]
fn rule_4_a_late_answer_goes_to_the_response_url_after_a_recorded_release() {
    let mut shard = Shard::warm();
    shard.command("c1");
    shard.durable();
    assert_eq!(
        shard.wait(Duration::from_millis(2500)),
        ["Release { row: 3 }"]
    );
    assert_eq!(
        shard.durable(),
        ["ack c1"],
        "released once that is on record"
    );
    assert_eq!(
        shard.commit_with("c1/greeter", Some("late")),
        ["turn a/c1/greeter row Some(3) effects 1"]
    );
    assert_eq!(shard.durable(), ["perform 1"]);
}

#[test]
fn rule_4_an_answer_that_is_submitted_at_the_deadline_still_rides_in_the_ack() {
    let mut shard = Shard::warm();
    shard.command("c1");
    shard.commit_with("c1/greeter", Some("just"));
    assert_eq!(shard.wait(Duration::from_secs(3)), [""; 0]);
    assert!(shard.durable()[0].contains("just"));
}

#[test]
fn a_command_nobody_answers_is_told_so_and_its_failure_too() {
    let mut shard = Shard::warm();
    let payload =
        json!({"command": "/other", "team_id": "T1", "channel_id": "C1", "user_id": "U1"});
    let other = shard.arrival(Kind::Command, "c1", &payload);
    assert!(shard.step(Input::Arrived(vec![other]))[0].contains("No handler answers `/other`"));
    shard.command("c2");
    shard.end("c2/greeter", TurnResult::GiveUp("no".into()));
    assert!(shard.durable()[0].contains("did not work"));
}

#[test]
fn a_full_mailbox_waits_on_disk_in_order_and_is_read_back_when_half_is_done() {
    let mut shard = Shard::warm();
    for n in 0..KEY_MAILBOX_MAX {
        shard.message(&format!("Ev1{n:03}"), "U1", "hi");
    }
    assert_eq!(
        shard.message("Ev2000", "U1", "hi"),
        ["row 66 a/Ev2000 marked"],
        "not delivered"
    );
    assert_eq!(
        shard.message("Ev2001", "U1", "hi"),
        ["row 67 a/Ev2001 marked"]
    );
    let acks = shard.durable();
    assert!(
        acks.contains(&"ack Ev2001".to_owned()),
        "stored is acked: {acks:?}"
    );
    let mut told = Vec::new();
    for n in 0..KEY_MAILBOX_MAX / 2 {
        told = shard.commit(&format!("Ev1{n:03}/greeter"));
    }
    assert_eq!(told.last().unwrap(), "read greeter/a/T1/user/U1 [66, 67]");
    // What comes while they are read waits behind them.
    assert_eq!(shard.message("Ev2002", "U1", "hi").len(), 1);
    let read = |id: &str| shard.event(id, "U1", "hi", 10_000).envelope;
    let rows = vec![(66, read("Ev2000")), (67, read("Ev2001"))];
    let key = Key::from_stored("greeter/a/T1/user/U1");
    let told = shard.step(Input::RowsRead(key, vec![66, 67], rows));
    assert_eq!(
        told[..2],
        ["deliver a/Ev2000/greeter", "deliver a/Ev2001/greeter"]
    );
}

#[test]
fn recovered_rows_run_again_in_order_before_what_comes_and_held_ones_are_dropped() {
    let mut shard = Shard::new();
    let row = |seq, is_held| {
        RecoveredRow {
        seq,
        key: Key::from_stored("greeter/a/T1/user/U1"),
        head: serde_json::from_value(json!({
            "id": format!("a/Ev{seq}"), "app": "a", "team": "T1", "kind": "event", "received_ms": 0}))
        .unwrap(),
        is_held,
        is_released: false,
        attempts: 0,
    }
    };
    shard.next_seq = 10;
    let told = shard.step(Input::Recovered(vec![
        row(3, false),
        row(4, true),
        row(5, false),
    ]));
    assert_eq!(
        told,
        ["Drop { row: 4 }", "read greeter/a/T1/user/U1 [3, 5]"]
    );
    assert_eq!(
        shard.message("Ev9", "U1", "hi"),
        ["row 11 a/Ev9 marked"],
        "behind them"
    );
}

#[test]
fn a_stored_delivery_whose_handler_is_gone_is_a_dead_letter() {
    let mut shard = Shard::new();
    let key = Key::from_stored("gone/a/T1/user/U1");
    let row = RecoveredRow {
        seq: 3,
        key: key.clone(),
        head: serde_json::from_value(
            json!({"id": "a/Ev3", "app": "a", "team": "T1", "kind": "event", "received_ms": 0}),
        )
        .unwrap(),
        is_held: false,
        is_released: false,
        attempts: 0,
    };
    shard.next_seq = 10;
    shard.step(Input::Recovered(vec![row]));
    let envelope = shard.event("Ev3", "U1", "hi", 10_000).envelope;
    let told = shard.step(Input::RowsRead(key, vec![3], vec![(3, envelope)]));
    assert!(
        told[0].starts_with("dead row Some(3) its handler"),
        "{told:?}"
    );
    shard.durable();
    assert_eq!(shard.machine.unsettled(), 0);
}

#[test]
fn own_posts_and_unwanted_events_are_acked_and_leave_nothing_behind() {
    let mut shard = Shard::new();
    shard.machine.installs.put(
        &AppName::new("a"),
        &"T1".into(),
        crate::flow::identity::Install {
            token: crate::base::secret::Secret::new("xoxb-1"),
            user: "UBOT".into(),
            bot: "B1".into(),
            team_name: String::new(),
        },
    );
    assert_eq!(shard.message("Ev1", "UBOT", "hi"), ["ack Ev1"]);
    let payload = json!({"team_id": "T1", "event_id": "Ev2", "event": {"type": "of_next_year"}});
    let odd = shard.arrival(Kind::Event, "Ev2", &payload);
    assert_eq!(shard.step(Input::Arrived(vec![odd])), ["ack Ev2"]);
    assert_eq!(
        (shard.machine.counted.own, shard.machine.counted.unmatched),
        (1, 1)
    );
    assert_eq!((shard.machine.events.len(), shard.gate.inside()), (0, 0));
}

#[test]
fn after_the_stop_what_slack_repeats_is_shed_and_the_rest_comes_to_its_end() {
    let mut shard = Shard::warm();
    shard.message("Ev1", "U1", "hi");
    shard.step(Input::Stop);
    assert_eq!(shard.message("Ev2", "U1", "hi"), [""; 0]);
    assert_eq!(shard.machine.counted.shed, 1);
    shard.commit("Ev1/greeter");
    assert_eq!(shard.durable(), ["ack Ev1"]);
    assert_eq!(shard.machine.unsettled(), 0);
}

#[test]
fn nothing_is_left_in_memory_but_the_marks_and_they_go_too() {
    let mut shard = Shard::warm();
    for n in 1..50 {
        shard.message(&format!("Ev{n}"), "U1", "both");
        shard.commit(&format!("Ev{n}/greeter"));
        shard.commit(&format!("Ev{n}/second"));
        shard.durable();
    }
    shard.wait(MARKS_IN_MEMORY * 2);
    shard.message("Ev99", "U1", "hi");
    let machine = &shard.machine;
    assert_eq!(
        (
            machine.events.len(),
            machine.open.len(),
            machine.in_flight.len()
        ),
        (1, 1, 0)
    );
    assert_eq!((machine.fresh.len(), machine.held.len()), (1, 0));
    assert_eq!(machine.dedupe.len(), 1);
}

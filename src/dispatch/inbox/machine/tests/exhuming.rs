//! Dead letters that come back or go.

use bytes::Bytes;

use super::*;
use crate::store::{DeadHead, DeadLetter, Exhumed, RowHead};

fn dead_delivery(id: u64, event: &str) -> DeadLetter {
    let payload = json!({"team_id": "T1", "event_id": event,
        "event": {"type": "message", "user": "U1", "channel": "C1", "ts": "1.2", "text": "hi"}});
    DeadLetter {
        id,
        name: format!("a/{event}"),
        key: "greeter/a/T1/user/U1".into(),
        head: DeadHead::Delivery(RowHead {
            id: format!("a/{event}"),
            app: "a".into(),
            team: "T1".into(),
            kind: Kind::Event,
            received_ms: 7,
            held: false,
        }),
        body: Bytes::from(payload.to_string()),
    }
}

fn dead_effect(id: u64) -> DeadLetter {
    DeadLetter {
        id,
        name: "a/Ev7/greeter#2".into(),
        key: "C1".into(),
        head: DeadHead::Effect {
            app: "a".into(),
            team: "T1".into(),
        },
        body: Bytes::from_static(br#"{"call":{"method":"chat.update","args":{"channel":"C1"}}}"#),
    }
}

impl Shard {
    fn exhume(&mut self, exhumed: Vec<Exhumed>) -> Vec<String> {
        self.step(Input::Exhume(exhumed))
    }

    /// Gives the machine the rows that it asked for.
    fn read_back(&mut self, row: u64, letter: DeadLetter) -> Vec<String> {
        let Ok(Exhumed::Delivery { envelope, key, .. }) = letter.retried() else {
            panic!("a delivery")
        };
        let found = vec![(row, envelope)];
        self.step(Input::RowsRead(key, vec![row], found))
    }
}

#[test]
fn a_retried_delivery_waits_on_disk_then_runs_and_its_letter_leaves_with_its_row() {
    let mut shard = Shard::warm();
    let before = shard.next_seq;
    let out = shard.exhume(vec![dead_delivery(3, "Ev7").retried().unwrap()]);
    assert_eq!(
        out,
        [format!("row {before} a/Ev7"), "Exhume { dead: 3 }".into()]
    );
    assert_eq!(
        shard.machine.unsettled(),
        3,
        "it lags, and two records are under way"
    );
    let out = shard.durable();
    assert_eq!(
        out,
        [
            "exhumed".to_owned(),
            format!("read greeter/a/T1/user/U1 [{before}]")
        ]
    );
    let out = shard.read_back(before, dead_delivery(3, "Ev7"));
    assert_eq!(out, ["deliver a/Ev7/greeter"]);
    let out = shard.commit("Ev7/greeter");
    assert_eq!(
        out,
        [format!("turn a/Ev7/greeter row Some({before}) effects 0")]
    );
    shard.durable();
    assert_eq!(shard.machine.unsettled(), 0);
}

#[test]
fn what_comes_after_a_retried_delivery_of_its_key_waits_behind_it() {
    let mut shard = Shard::warm();
    let before = shard.next_seq;
    shard.exhume(vec![dead_delivery(3, "Ev7").retried().unwrap()]);
    let out = shard.message("Ev8", "U1", "later");
    assert_eq!(
        out,
        [format!("row {} a/Ev8 marked", before + 2)],
        "it lags too"
    );
    let out = shard.durable();
    let read = format!("read greeter/a/T1/user/U1 [{before}, {}]", before + 2);
    assert!(out.contains(&read), "{out:?}");
}

#[test]
fn a_retried_effect_is_performed_once_durable_under_its_new_number_and_old_name() {
    let mut shard = Shard::warm();
    let before = shard.next_seq;
    let exhumed = dead_effect(4).retried().unwrap();
    let mut out = Vec::new();
    shard
        .machine
        .step(shard.now, Input::Exhume(vec![exhumed]), &mut out);
    assert!(
        matches!(
            &out[..],
            [Output::Submit(Record::Requeue { dead: 4, .. }, None)]
        ),
        "{out:?}"
    );
    shard.machine.submitted(before);
    out.clear();
    shard
        .machine
        .step(shard.now, Input::Durable(before), &mut out);
    let [Output::Perform(effects), Output::Exhumed] = &out[..] else {
        panic!("{out:?}")
    };
    let effect = &effects[0];
    assert_eq!(
        (effect.seq, effect.n, effect.name.0.as_str()),
        (before, 0, "a/Ev7/greeter#2")
    );
    assert!(effect.is_recovered, "its last try may have been done");
    assert_eq!(shard.machine.unsettled(), 0);
}

#[test]
fn a_dropped_letter_leaves_and_nothing_runs() {
    let mut shard = Shard::warm();
    let out = shard.exhume(vec![
        dead_delivery(3, "Ev7").dropped(),
        dead_effect(4).dropped(),
    ]);
    assert_eq!(out, ["Exhume { dead: 3 }", "Exhume { dead: 4 }"]);
    assert_eq!(shard.durable(), ["exhumed", "exhumed"]);
    assert_eq!(shard.machine.unsettled(), 0);
}

#[test]
fn a_letter_that_can_not_be_read_is_not_retried_and_a_shard_that_stops_takes_none() {
    let mut letter = dead_delivery(3, "Ev7");
    letter.body = Bytes::from_static(b"{");
    assert!(letter.retried().unwrap_err().contains("events_api payload"));
    let mut shard = Shard::warm();
    assert_eq!(shard.machine.refusal(), None);
    shard.step(Input::Stop);
    assert!(shard.machine.refusal().unwrap().contains("stopping"));
}

//! The inbox against the rules of a delivery's life.

mod exhuming;
mod shard;

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::base::limits::{KEY_MAILBOX_MAX, MARKS_IN_MEMORY};
use crate::flow::envelope::Kind;
use crate::flow::key::AppName;
use shard::Shard;

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
fn rule_6_rows_are_in_the_order_of_admission_also_behind_one_that_was_not_stored_at_once() {
    let mut shard = Shard::warm();
    assert_eq!(shard.message("Ev1", "U1", "hi"), ["deliver a/Ev1/greeter"]);
    assert_eq!(
        shard.message("Ev2", "U1", "hi"),
        [
            "deliver a/Ev2/greeter",
            "row 3 a/Ev1 marked",
            "row 4 a/Ev2 marked"
        ],
        "a recovery goes by the order of the rows"
    );
    assert_eq!(
        shard.wait(Duration::from_millis(1)),
        [""; 0],
        "one row each"
    );
    shard.commit("Ev1/greeter");
    shard.commit("Ev2/greeter");
    shard.durable();
    assert_eq!(shard.message("Ev3", "U1", "hi"), ["deliver a/Ev3/greeter"]);
    shard.commit("Ev3/greeter");
    assert_eq!(
        shard.message("Ev4", "U1", "hi"),
        ["deliver a/Ev4/greeter"],
        "no row after its own commit"
    );
}

#[test]
fn rule_1_one_event_for_two_handlers_is_acked_when_both_are_durable() {
    let mut shard = Shard::warm();
    assert_eq!(
        shard.message("Ev1", "U1", "both"),
        [
            "deliver a/Ev1/greeter",
            "row 3 a/Ev1 marked",
            "deliver a/Ev1/second",
            "row 4 a/Ev1"
        ],
        "one transaction for both rows and the mark"
    );
    assert_eq!(shard.step(Input::Durable(3)), [""; 0], "one of two");
    assert_eq!(shard.durable(), ["ack Ev1"]);
    shard.commit("Ev1/greeter");
    shard.durable();
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
        shard.step(Input::MarkRead(number, Some(true))),
        ["ack Ev2"],
        "known"
    );
    let unknown = retry(&shard, "Ev3", 8_000);
    let told = shard.step(Input::Arrived(vec![unknown]));
    let number = told[0].strip_prefix("look up ").unwrap().parse().unwrap();
    assert_eq!(
        shard.step(Input::MarkRead(number, Some(false))).len(),
        2,
        "new after all"
    );
}

#[test]
fn rule_6_what_is_looked_up_on_disk_and_what_comes_behind_it_keep_their_order() {
    let mut shard = Shard::new();
    let old = |shard: &Shard, id: &str| Arrival {
        is_retry: true,
        ..shard.event(id, "U1", "hi", 8_000)
    };
    let told = |shard: &mut Shard, number, is_known| shard.step(Input::MarkRead(number, is_known));
    let (first, second) = (old(&shard, "Ev1"), old(&shard, "Ev2"));
    let (third, young) = (old(&shard, "Ev3"), shard.event("Ev4", "U1", "hi", 10_000));
    let asked = shard.step(Input::Arrived(vec![first, second, third, young]));
    let numbers: Vec<u64> = asked
        .iter()
        .map(|told| told.strip_prefix("look up ").unwrap().parse().unwrap())
        .collect();
    let [first, second, third] = numbers[..] else {
        panic!("the young one needs no look: {asked:?}");
    };
    // The answers come in the wrong order.
    assert_eq!(told(&mut shard, third, Some(false)), [""; 0]);
    assert_eq!(told(&mut shard, second, Some(true)), [""; 0]);
    let going = told(&mut shard, first, Some(false));
    assert!(going.contains(&"ack Ev2".to_owned()), "known: {going:?}");
    let places = ["deliver a/Ev1", "deliver a/Ev3", "deliver a/Ev4"]
        .map(|what| going.iter().position(|told| told.starts_with(what)));
    assert!(places.is_sorted() && places[0].is_some(), "{going:?}");
    // One that can't be looked up is left un-acked, and holds nobody up.
    let (lost, next) = (old(&shard, "Ev5"), shard.event("Ev6", "U1", "hi", 10_000));
    let asked = shard.step(Input::Arrived(vec![lost, next]));
    let number = asked[0].strip_prefix("look up ").unwrap().parse().unwrap();
    assert_eq!(shard.machine.unacked(), 5);
    let going = told(&mut shard, number, None);
    assert!(going[0].starts_with("deliver a/Ev6"), "{going:?}");
    assert_eq!(shard.machine.counted.shed, 1);
}

#[test]
fn rule_4_an_answer_in_time_rides_in_the_ack() {
    let mut shard = Shard::warm();
    assert_eq!(
        shard.command("c1"),
        ["deliver a/c1/greeter", "row 3 a/c1 held"]
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
fn rule_4_a_command_given_up_after_its_ack_left_is_told_so_by_the_response_url() {
    let mut shard = Shard::warm();
    shard.command("c1");
    shard.durable();
    shard.wait(Duration::from_millis(2500));
    assert_eq!(shard.durable(), ["ack c1"]);
    assert_eq!(
        shard.end("c1/greeter", TurnResult::GiveUp("no".into())),
        ["dead row Some(3) no effects 1"]
    );
    assert_eq!(shard.durable(), ["perform 1"]);
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
fn rule_6_a_full_mailbox_waits_on_disk_in_order_and_is_read_back_when_half_is_done() {
    let mut shard = Shard::warm();
    for n in 0..KEY_MAILBOX_MAX {
        shard.message(&format!("Ev1{n:03}"), "U1", "hi");
    }
    assert_eq!(
        shard.message("Ev2000", "U1", "hi"),
        ["row 67 a/Ev2000 marked"],
        "not delivered"
    );
    assert_eq!(
        shard.message("Ev2001", "U1", "hi"),
        ["row 68 a/Ev2001 marked"]
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
    assert_eq!(told.last().unwrap(), "read greeter/a/T1/user/U1 [67, 68]");
    // What comes while they are read waits behind them.
    assert_eq!(shard.message("Ev2002", "U1", "hi").len(), 1);
    let read = |id: &str| shard.event(id, "U1", "hi", 10_000).envelope;
    let rows = vec![(67, read("Ev2000")), (68, read("Ev2001"))];
    let key = Key::from_stored("greeter/a/T1/user/U1");
    let told = shard.step(Input::RowsRead(key, vec![67, 68], rows));
    assert_eq!(
        told[..2],
        ["deliver a/Ev2000/greeter", "deliver a/Ev2001/greeter"]
    );
}

#[test]
fn rule_6_recovered_rows_run_again_in_order_before_what_comes_and_held_ones_are_dropped() {
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
    let told = shard.internal("count");
    assert!(told[0].starts_with("row 12"), "behind them: {told:?}");
}

#[test]
fn rule_4_at_recovery_held_commands_are_dropped_and_released_ones_run_and_answer_late() {
    let mut shard = Shard::new();
    let row = |seq, is_held| {
        RecoveredRow {
        seq,
        key: Key::from_stored("greeter/a/T1/user/U1"),
        head: serde_json::from_value(json!({
            "id": format!("a/c{seq}"), "app": "a", "team": "T1", "kind": "command", "received_ms": 0}))
        .unwrap(),
        is_held,
        is_released: !is_held,
        attempts: 0,
    }
    };
    shard.next_seq = 10;
    assert_eq!(
        shard.step(Input::Recovered(vec![row(3, true), row(4, false)])),
        ["Drop { row: 3 }", "read greeter/a/T1/user/U1 [4]"]
    );
    assert_eq!(shard.machine.counted.dropped, 1);
    let payload = json!({"command": "/greeted", "team_id": "T1", "channel_id": "C1", "user_id": "U1",
        "response_url": "http://hooks/1"});
    let envelope = shard.arrival(Kind::Command, "c4", &payload).envelope;
    let key = Key::from_stored("greeter/a/T1/user/U1");
    shard.step(Input::RowsRead(key, vec![4], vec![(4, envelope)]));
    assert_eq!(
        shard.commit_with("c4/greeter", Some("after all")),
        ["turn a/c4/greeter row Some(4) effects 1"]
    );
    assert_eq!(shard.durable(), ["perform 1"]);
}

#[test]
fn rule_1_a_stored_delivery_whose_handler_is_gone_is_a_dead_letter() {
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
fn rule_16_after_the_stop_what_slack_repeats_is_shed_and_the_rest_comes_to_its_end() {
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

#[test]
fn rule_7_an_attempt_of_a_recovered_delivery_is_durable_first_and_the_third_death_buries_it() {
    for (attempts, expected) in [
        (0, "deliver a/Ev3/greeter"),
        (1, "deliver a/Ev3/greeter"),
        (2, "dead row Some(3) the process ended 3 times while it ran"),
    ] {
        let mut shard = Shard::new();
        shard.next_seq = 10;
        let key = Key::from_stored("greeter/a/T1/user/U1");
        let row = RecoveredRow {
            seq: 3,
            key: key.clone(),
            head: serde_json::from_value(
                json!({"id": "a/Ev3", "app": "a", "team": "T1", "kind": "event", "received_ms": 0}),
            )
            .unwrap(),
            is_held: false,
            is_released: false,
            attempts,
        };
        shard.step(Input::Recovered(vec![row]));
        let envelope = shard.event("Ev3", "U1", "hi", 10_000).envelope;
        let told = shard.step(Input::RowsRead(key, vec![3], vec![(3, envelope)]));
        assert_eq!(told, [expected]);
        if let Some((_, slot)) = shard.slots.first().cloned() {
            assert_eq!(
                shard.step(Input::AttemptWanted(slot)),
                ["Attempt { row: 3 }"]
            );
            assert_eq!(shard.durable(), ["on record greeter/a/T1/user/U1"]);
            assert_eq!(
                shard.step(Input::AttemptSurvived(slot)),
                ["Survived { row: 3 }"]
            );
        }
    }
}

#[test]
fn rule_10_a_memo_is_stored_with_the_note_that_it_arrived_or_buried_when_nobody_takes_it() {
    let mut shard = Shard::warm();
    let told = shard.internal("nobody's");
    assert!(
        told[0].contains("no handler has a route for it"),
        "{told:?}"
    );
    let told = shard.internal("count");
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].starts_with("deliver a/ev0/greeter#0"), "{told:?}");
    assert!(
        told[1].starts_with("row") && told[1].ends_with("marked"),
        "{told:?}"
    );
    assert!(told[2].contains("outcome: done"), "{told:?}");
}

#[test]
fn what_a_lost_actor_had_goes_to_a_new_one_in_order_and_what_kills_it_again_is_given_up() {
    let mut shard = Shard::warm();
    shard.message("Ev1", "U1", "hi");
    shard.message("Ev2", "U1", "hi");
    let key = Key::from_stored("greeter/a/T1/user/U1");
    let both = ["deliver a/Ev1/greeter", "deliver a/Ev2/greeter"];
    for _ in 1..crate::base::limits::POISON_DEATHS_MAX {
        assert_eq!(shard.step(Input::HandlerLost(key.clone())), both);
    }
    let told = shard.step(Input::HandlerLost(key));
    assert!(told[0].contains("its actor died 3 times"), "{told:?}");
    assert_eq!(told[1], both[1]);
    shard.commit("Ev2/greeter");
    shard.durable();
    assert_eq!(shard.machine.unsettled(), 0);
}

#[test]
fn rule_11_whoever_waits_for_earlier_commits_goes_on_when_they_are_durable_in_order() {
    let mut shard = Shard::warm();
    assert_eq!(
        shard.step(Input::FlushWanted),
        ["flushed"],
        "nothing to wait for"
    );
    shard.message("Ev1", "U1", "hi");
    shard.commit("Ev1/greeter");
    assert_eq!(shard.step(Input::FlushWanted), [""; 0]);
    shard.message("Ev2", "U1", "hi");
    shard.commit("Ev2/greeter");
    assert_eq!(shard.step(Input::FlushWanted), [""; 0]);
    let first = shard.next_seq - 2;
    assert_eq!(shard.step(Input::Durable(first)), ["flushed", "ack Ev1"]);
    assert_eq!(shard.durable(), ["flushed", "ack Ev2"]);
}

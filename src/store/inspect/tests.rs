//! Looks against what was written.

use serde_json::{Value, json};

use super::*;
use crate::flow::effect::{Call, Effect, EffectName};
use crate::flow::envelope::{Envelope, Kind, Origin};
use crate::flow::key::AppName;
use crate::store::tests::{Folder, Opened, envelope, sent, turn};
use crate::store::{DeadHead, Outcome, Record};

fn row(id: &str, key: &str) -> Record {
    Record::Row {
        envelope: envelope(id),
        key: Key::from_stored(key),
        is_held: false,
        is_lagging: false,
    }
}

fn command(id: &str) -> std::sync::Arc<Envelope> {
    let payload = json!({"command": "/go", "team_id": "T1", "user_id": "U1", "channel_id": "C1", "token": "legacy",
        "response_url": "http://127.0.0.1:1/r/secret"});
    let origin = Origin {
        app: &AppName::new("a"),
        envelope_id: id,
        team: "T1".into(),
    };
    let payload = bytes::Bytes::from(payload.to_string());
    std::sync::Arc::new(Envelope::read(Kind::Command, &origin, payload, 7).unwrap())
}

fn dead_delivery(id: &str, key: &str) -> Record {
    Record::DeadDelivery {
        row: None,
        key: Key::from_stored(key),
        envelope: command(id),
        error: "it failed with xoxb-1-2".into(),
        effects: Vec::new(),
    }
}

fn dead_effect(seq: u64, method: &str) -> Record {
    let call = Call {
        method: method.into(),
        args: serde_json::Map::new(),
        posted: std::collections::BTreeMap::default(),
    };
    Record::Effect {
        seq,
        n: 1,
        name: EffectName("a/Ev3/h#1".into()),
        outcome: Outcome::Dead {
            error: format!("{method}: 404"),
            app: AppName::new("a"),
            team: "T1".into(),
            lane: call.lane(),
            effect: Box::new(Effect::Call(call)),
        },
    }
}

fn look(opened: &Opened, query: &Query) -> Vec<Value> {
    let page = opened.store.inspector().unwrap().look(query).unwrap();
    assert_eq!(page.behind, 0);
    let lines = page.lines.iter();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn query(what: What) -> Query {
    Query {
        what,
        ..Query::default()
    }
}

#[test]
fn a_look_shows_what_became_durable_just_before_it() {
    let folder = Folder::new();
    let (opened, _) = folder.open();
    for n in 0..20_u32 {
        let state = format!("{{\"n\":{n}}}");
        opened.put(vec![turn(
            &format!("Ev{n}"),
            None,
            "h/a/T1/user/U1",
            &state,
            0,
        )]);
        let of_key = Query {
            of: Some("h/a/T1/user/U1".into()),
            ..query(What::State)
        };
        let shown = look(&opened, &of_key);
        assert_eq!(
            shown,
            [json!({"type": "key", "key": "h/a/T1/user/U1", "version": 2, "state": {"n": n}})]
        );
    }
}

#[test]
fn keys_are_filtered_and_an_answer_that_is_cut_says_so() {
    let folder = Folder::new();
    let (opened, _) = folder.open();
    let keys = [
        "g/a/T1/user/U1",
        "h/a/T1/user/U1",
        "h/a/T2/user/U1",
        "h/b/T1/user/U1",
        "hh/a/T1/user/U1",
    ];
    let turns = keys.map(|key| turn("Ev1", None, key, "{}", 0));
    opened.put(turns.into());
    let found = |handler: Option<&str>, app: Option<&str>, team: Option<&str>| {
        let filter = Filter {
            handler: handler.map(Into::into),
            app: app.map(Into::into),
            team: team.map(Into::into),
        };
        let shown = look(
            &opened,
            &Query {
                filter,
                ..query(What::Keys)
            },
        );
        let keys = shown
            .iter()
            .map(|line| line["key"].as_str().unwrap().to_owned());
        keys.collect::<Vec<String>>()
    };
    assert_eq!(found(None, None, None), keys);
    assert_eq!(found(Some("h"), None, None), keys[1..4]);
    assert_eq!(found(Some("h"), None, Some("T1")), [keys[1], keys[3]]);
    assert_eq!(found(None, Some("b"), None), [keys[3]]);
    let short = Query {
        limit: 2,
        ..query(What::Keys)
    };
    let page = opened.store.inspector().unwrap().look(&short).unwrap();
    assert!(page.is_cut && page.lines.len() == 2);
    let exact = Query {
        limit: 5,
        ..query(What::Keys)
    };
    assert!(
        !opened
            .store
            .inspector()
            .unwrap()
            .look(&exact)
            .unwrap()
            .is_cut
    );
}

#[test]
fn the_backlog_is_by_key_oldest_first_and_of_one_key_in_order() {
    let folder = Folder::new();
    let (opened, _) = folder.open();
    let (one, two) = ("h/a/T1/user/U1", "h/a/T1/user/U2");
    let first = opened.put(vec![row("Ev1", two), row("Ev2", one), row("Ev3", two)]);
    opened.put(vec![Record::Attempt { row: first }]);
    let shown = look(&opened, &query(What::Backlog));
    let of_key = |key: &str, waiting: u32, attempts: u32, oldest: &str| {
        json!({"type": "backlog", "key": key, "waiting": waiting, "since": "1970-01-01T00:00:00Z",
            "attempts": attempts, "kind": "event", "oldest": oldest})
    };
    assert_eq!(
        shown,
        [of_key(two, 2, 1, "a/Ev1"), of_key(one, 1, 0, "a/Ev2")]
    );
    let of_two = Query {
        of: Some(two.into()),
        with_payload: true,
        ..query(What::Backlog)
    };
    let shown = look(&opened, &of_two);
    let names: Vec<&str> = shown
        .iter()
        .map(|line| line["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["a/Ev1", "a/Ev3"]);
    assert_eq!(shown[0]["payload"]["event_id"], "Ev1");
}

#[test]
fn waiting_effects_are_counted_by_lane_and_never_show_where_an_answer_goes() {
    let folder = Folder::new();
    let (opened, _) = folder.open();
    let seq = opened.put(vec![turn("Ev1", None, "h/a/T1/user/U1", "{}", 3)]);
    opened.put(vec![sent(seq, 0)]);
    let shown = look(&opened, &query(What::Outbox));
    assert_eq!(
        shown,
        [
            json!({"type": "lane", "app": "a", "team": "T1", "lane": "chat.postMessage", "waiting": 2,
            "what": "chat.postMessage", "oldest": "a/Ev1/h#1"})
        ]
    );
    let late = Record::Turn {
        event: "a/Ev2".into(),
        app: AppName::new("a"),
        team: "T1".into(),
        row: None,
        key: Key::from_stored("h/a/T1/user/U1"),
        version: 1,
        state: None,
        effects: vec![Effect::Call(Call {
            method: "http://127.0.0.1:1/r/secret".into(),
            args: serde_json::Map::new(),
            posted: std::collections::BTreeMap::default(),
        })],
    };
    opened.put(vec![late]);
    let lanes = look(&opened, &query(What::Outbox));
    let wanted = lanes[1]["lane"].as_str().unwrap();
    assert!(wanted.starts_with("response_url"), "{wanted}");
    let of_lane = Query {
        of: Some(wanted.to_owned()),
        with_payload: true,
        ..query(What::Outbox)
    };
    let shown = look(&opened, &of_lane);
    assert_eq!(shown[0]["what"], "response_url");
    assert_eq!(shown[0]["payload"]["call"]["method"], "response_url");
}

#[test]
fn dead_letters_show_their_error_and_payload_and_no_secret() {
    let folder = Folder::new();
    let (opened, _) = folder.open();
    let turn_seq = opened.put(vec![turn("Ev3", None, "h/a/T1/user/U1", "{}", 2)]);
    let first = opened.put(vec![
        dead_delivery("E1", "g/a/T1/user/U1"),
        dead_effect(turn_seq, "http://127.0.0.1:1/r/secret"),
    ]);
    let all = Query {
        with_payload: true,
        ..query(What::Dead)
    };
    let page = opened.store.inspector().unwrap().look(&all).unwrap();
    let whole = page.lines.join("\n");
    for secret in ["secret", "legacy", "xoxb"] {
        assert!(!whole.contains(secret), "{secret} in {whole}");
    }
    let shown = look(&opened, &all);
    assert_eq!(shown[0]["id"], first);
    assert_eq!(shown[0]["error"], "it failed with ‹set›");
    assert_eq!(shown[0]["payload"]["command"], "/go");
    assert_eq!(shown[1]["kind"], "effect");
    let lane = shown[1]["of"].as_str().unwrap();
    assert!(lane.starts_with("response_url"), "{lane}");
    assert_eq!(shown[1]["error"], "response_url 404");
    let of_g = Filter {
        handler: Some("g".into()),
        ..Filter::default()
    };
    assert_eq!(
        opened
            .store
            .inspector()
            .unwrap()
            .dead_ids(&of_g, 9)
            .unwrap(),
        [first]
    );
    let summary = look(&opened, &query(What::Summary));
    let of = |handler: &str, keys: u32, effects: u32| json!({"type": "summary", "handler": handler, "keys": keys, "waiting": 0, "effects": effects, "dead": 1});
    assert_eq!(summary, [of("g", 0, 0), of("h", 1, 1)]);
}

#[test]
fn what_is_retried_is_an_unfinished_row_or_a_waiting_effect_and_no_dead_letter_after_a_restart() {
    let folder = Folder::new();
    let (opened, _) = folder.open();
    let turn_seq = opened.put(vec![turn("Ev3", None, "h/a/T1/user/U1", "{}", 2)]);
    opened.put(vec![sent(turn_seq, 0)]);
    let dead = opened.put(vec![
        dead_delivery("E1", "g/a/T1/user/U1"),
        dead_effect(turn_seq, "chat.update"),
        dead_delivery("E2", "g/a/T1/user/U1"),
    ]);
    let inspector = opened.store.inspector().unwrap();
    assert!(inspector.catch_up());
    let letters = inspector
        .letters(&[dead, dead + 1, dead + 2, dead + 3])
        .unwrap();
    assert_eq!(letters.len(), 3, "those that exist");
    assert!(matches!(letters[1].head, DeadHead::Effect { .. }));
    let mut records = letters[2].dropped().records();
    for letter in letters.into_iter().take(2) {
        records.extend(letter.retried().unwrap().records());
    }
    opened.put(records);
    assert!(look(&opened, &query(What::Dead)).is_empty());
    opened.store.close();
    let (opened, recovered) = folder.open();
    assert_eq!(recovered.rows.len(), 1);
    let row = &recovered.rows[0];
    assert_eq!(
        (row.head.id.as_str(), row.key.as_str()),
        ("a/E1", "g/a/T1/user/U1")
    );
    assert!(!row.is_held);
    let effect = &recovered.effects[0];
    assert_eq!((effect.name.0.as_str(), effect.n), ("a/Ev3/h#1", 0));
    assert_eq!(recovered.effects.len(), 1);
    // The effect is done under its new number.
    opened.put(vec![sent(effect.seq, 0)]);
    assert!(look(&opened, &query(What::Outbox)).is_empty());
    opened.store.close();
}

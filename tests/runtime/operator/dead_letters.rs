//! Dead letters are shown, tried again and dropped, whether the process runs or not.

use callboard::admin::{Request, Which};
use callboard::app::Ended;
use callboard::sim::{Fault, Via, What as Recorded};
use callboard::store::inspect::{Filter, What};
use serde_json::json;

use super::{
    CALL_GIVEN_UP, GIVEN_UP, asked, dead_letters, fussy_stand, is_post, looked, mend, posts,
    printed, refused, start, these,
};

#[test]
fn a_dead_letter_is_seen_and_retried_in_the_running_process_and_answered_exactly_once() {
    let mut stand = fussy_stand();
    stand.log.expect(GIVEN_UP);
    let running = start(&stand);
    stand.says(0, 0, "please mend it");
    let dead = dead_letters(&stand, 1);
    let error = dead[0]["error"].as_str().unwrap();
    assert!(error.contains("the glue has not dried"), "{error}");
    assert_eq!(dead[0]["payload"]["event"]["text"], "please mend it");
    let user = stand.places[0].users[0].as_str();
    let key = dead[0]["of"].as_str().unwrap();
    assert!(
        key.starts_with("fussy/acme/") && key.ends_with(user),
        "{key}"
    );
    stand.all_acked();
    assert_eq!(posts(&mut stand, "Done: please mend it (1)"), 0);

    mend();
    let retry = Request::Retry(these(&dead));
    let told = asked(&stand, &retry).unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!(
        (&told[0]["type"], &told[0]["id"]),
        (&json!("retried"), &dead[0]["id"])
    );
    assert!(looked(&stand, What::Dead).is_empty(), "it is gone at once");
    let told = asked(&stand, &retry).unwrap();
    assert_eq!(
        told[0],
        json!({"type": "missing", "id": dead[0]["id"]}),
        "a second time"
    );
    stand.says(0, 0, "please go on");
    stand.recorded("the next one's answer", 1, |what| {
        is_post(what, "Done: please go on (2)")
    });
    assert_eq!(running.stop(), Ended::Settled);
    assert_eq!(posts(&mut stand, "Done: please mend it (1)"), 1);
    assert!(looked(&stand, What::Dead).is_empty(), "it stays gone");
    assert!(looked(&stand, What::Backlog).is_empty());
}

#[test]
fn what_fails_again_is_a_dead_letter_again_and_can_be_dropped() {
    let mut stand = fussy_stand();
    stand.log.expect(GIVEN_UP);
    let running = start(&stand);
    stand.says(0, 0, "please");
    let first = dead_letters(&stand, 1);
    asked(&stand, &Request::Retry(these(&first))).unwrap();
    let again = dead_letters(&stand, 1);
    assert_ne!(first[0]["id"], again[0]["id"]);
    let told = asked(&stand, &Request::Drop(these(&again))).unwrap();
    assert_eq!(told[0]["type"], "dropped");
    assert!(looked(&stand, What::Dead).is_empty());
    mend();
    assert_eq!(running.stop(), Ended::Settled);
    let running = start(&stand);
    stand.says(0, 1, "please");
    stand.recorded("the neighbour's answer", 1, |what| {
        is_post(what, "Done: please (1)")
    });
    assert_eq!(running.stop(), Ended::Settled);
    assert_eq!(
        posts(&mut stand, "Done: please (1)"),
        1,
        "what was dropped stays so"
    );
}

#[test]
fn all_dead_letters_of_one_workspace_are_retried_and_the_others_stay() {
    let mut stand = fussy_stand();
    stand.log.expect(GIVEN_UP);
    let running = start(&stand);
    for user in 0..3 {
        stand.says(0, user, "please");
        stand.says(1, user, "please");
    }
    dead_letters(&stand, 6);
    mend();
    let filter = Filter {
        team: Some(stand.places[1].team.as_str().to_owned()),
        ..Filter::default()
    };
    let which = Which {
        all: true,
        filter,
        ..Which::default()
    };
    let told = asked(&stand, &Request::Retry(which)).unwrap();
    assert_eq!(told.len(), 3);
    assert!(
        told.iter().all(|line| line["type"] == "retried"),
        "{told:?}"
    );
    stand.recorded("three answers", 3, |what| is_post(what, "Done: please (1)"));
    let left = dead_letters(&stand, 3);
    let team = format!("/{}/", stand.places[0].team);
    assert!(
        left.iter()
            .all(|one| one["of"].as_str().unwrap().contains(&team)),
        "{left:?}"
    );
    assert_eq!(running.stop(), Ended::Settled);
}

#[test]
fn a_call_that_was_given_up_is_made_after_all_and_only_once() {
    let mut stand = fussy_stand();
    stand.log.expect(CALL_GIVEN_UP);
    mend();
    let running = start(&stand);
    let fault = Fault::Error {
        code: "channel_not_found".into(),
    };
    stand.simulator.fault("chat.postMessage", fault, 2);
    stand.says(0, 0, "please");
    stand.says(0, 1, "please");
    let dead = dead_letters(&stand, 2);
    assert_eq!(
        (&dead[0]["kind"], &dead[1]["kind"]),
        (&json!("effect"), &json!("effect"))
    );
    assert_eq!(dead[0]["error"], "chat.postMessage: channel_not_found");
    assert_eq!(
        dead[0]["payload"]["call"]["args"]["text"],
        "Done: please (1)"
    );
    assert_eq!(dead[0]["of"], stand.places[0].general.as_str(), "its lane");
    asked(&stand, &Request::Retry(these(&dead[..1]))).unwrap();
    asked(&stand, &Request::Drop(these(&dead[1..]))).unwrap();
    stand.recorded("the answer", 1, |what| {
        matches!(what, Recorded::Call { method, ok: true, .. } if method == "chat.postMessage")
    });
    assert_eq!(running.stop(), Ended::Settled);
    assert_eq!(posts(&mut stand, "Done: please (1)"), 1);
    assert!(looked(&stand, What::Dead).is_empty());
    assert!(looked(&stand, What::Outbox).is_empty());
}

#[test]
fn a_commands_dead_letter_shows_no_secret_and_its_late_answer_goes_by_the_response_url() {
    let mut stand = fussy_stand();
    stand.log.expect(GIVEN_UP);
    let running = start(&stand);
    let envelope = stand.runs(0, "/greeted", "");
    let dead = dead_letters(&stand, 1);
    assert_eq!(dead[0]["kind"], "command");
    assert_eq!(dead[0]["payload"]["response_url"], "‹set›");
    let shown = printed(&stand, &["inspect", "dead", "--json"]);
    assert!(
        shown.contains("the glue has not dried") && !shown.contains("/hooks/"),
        "{shown}"
    );
    mend();
    asked(&stand, &Request::Retry(these(&dead))).unwrap();
    stand.recorded("the late answer", 1, |what| {
        matches!(what, Recorded::EphemeralShown { via: Via::ResponseUrl, envelope_id, text, .. }
            if *envelope_id == envelope && text == "Done, late")
    });
    assert_eq!(running.stop(), Ended::Settled);
}

#[test]
fn dead_letters_of_a_stopped_store_are_retried_and_dropped_with_the_program() {
    let mut stand = fussy_stand();
    stand.log.expect(GIVEN_UP);
    let running = start(&stand);
    for (user, text) in ["please one", "please two", "please three"]
        .iter()
        .enumerate()
    {
        stand.says(2, user, text);
    }
    let dead = dead_letters(&stand, 3);
    assert_eq!(running.stop(), Ended::Settled);
    let id_of = |text: &str| {
        let dead = dead.iter().find(|one| one["payload"]["text"] == text);
        dead.unwrap()["id"].to_string()
    };
    let (one, two, three) = (
        id_of("please one"),
        id_of("please two"),
        id_of("please three"),
    );

    let shown = printed(&stand, &["inspect", "dead"]);
    assert!(shown.starts_with("ID  WHEN"), "{shown}");
    assert_eq!(
        shown.matches("the glue has not dried").count(),
        3,
        "{shown}"
    );
    let told = printed(&stand, &["retry", &one, &two]);
    assert_eq!(told.matches("will be tried again").count(), 2, "{told}");
    let told = refused(&stand.config.store.path, &["retry", &one]);
    assert!(
        told.contains(&format!("{one}: no such dead letter")),
        "{told}"
    );
    let told = printed(&stand, &["drop", &three, "--json"]);
    assert!(told.contains(r#""type":"dropped""#), "{told}");
    assert_eq!(
        printed(&stand, &["inspect", "dead"]),
        "there is no dead letter\n"
    );
    let shown = printed(
        &stand,
        &[
            "inspect",
            "backlog",
            "--handler",
            "fussy",
            "--app",
            "classic",
        ],
    );
    assert_eq!(shown.lines().count(), 3, "a header and two keys: {shown}");

    mend();
    let running = start(&stand);
    stand.recorded("both answers", 2, |what| {
        matches!(what, Recorded::Call { method, ok: true, .. } if method == "chat.postMessage")
    });
    assert_eq!(running.stop(), Ended::Settled);
    for (text, count) in [("one", 1), ("two", 1), ("three", 0)] {
        let made = posts(&mut stand, &format!("Done: please {text} (1)"));
        assert_eq!(made, count, "{text}");
    }
    assert_eq!(
        printed(&stand, &["retry", "--all"]),
        "there is no dead letter of that kind\n"
    );
}

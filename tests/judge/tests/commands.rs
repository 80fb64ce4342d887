//! Slash commands: answers and reports.

use super::super::forge::Forger;
use super::super::{Buried, judge_without};
use super::{KILLED, Promise, caught, caught_under, judge, verdict};

#[test]
fn clean_commands_break_nothing() {
    let mut forger = Forger::new();
    forger.round("U1", "C1", 1);
    let run = forger.runs("U1", "/greeted", "");
    forger.shows(&run, "U1", "ack", "1 so far").acks(&run, 1);
    // Sent, and answered by somebody who had not seen this greeting yet, or had.
    let said = forger.says("U1", "C1");
    forger.sends(&said, 1);
    let run = forger.runs("U1", "/greeted", "");
    forger
        .acks(&run, 1)
        .shows(&run, "U1", "response_url", "2 so far");
    forger.acks(&said, 1).answers(&said, 2);
    forger.report("U1", "fish", 1);
    forger.report("U2", "soup", 1);
    forger.report("U1", "bread", 2);
    // Never acked and never run.
    forger.runs("U2", "/report", "salt");
    // Never acked and run: the kill fell between.
    let run = forger.runs("U2", "/report", "pepper");
    forger.kill(1).life(2);
    forger
        .orders(&run, "pepper", 2, "1.1")
        .reports(&run, "pepper", "1.1");
    let verdict = judge(&forger.record(), &KILLED);
    verdict.assert_kept();
    assert_eq!((verdict.commands_owned, verdict.commands_answered), (5, 5));
}

#[test]
fn p1_a_command_that_is_acked_and_not_answered_is_caught() {
    let mut forger = Forger::new();
    let run = forger.runs("U1", "/greeted", "");
    verdict(&forger).assert_kept();
    forger.acks(&run, 1);
    let words = "acked and never answered";
    caught(&forger, Promise::AckedImpliesHandled, words);
}

#[test]
fn p1_a_report_that_is_acked_and_never_ordered_or_never_done_is_caught() {
    let mut forger = Forger::new();
    let run = forger.runs("U1", "/report", "fish");
    forger.shows(&run, "U1", "ack", "on its way").acks(&run, 1);
    let words = "its order never posted";
    caught(&forger, Promise::AckedImpliesHandled, words);
    forger.orders(&run, "fish", 1, "1.1");
    let words = "never came back";
    caught(&forger, Promise::AckedImpliesHandled, words);
    forger.reports(&run, "fish", "1.1");
    verdict(&forger).assert_kept();
}

#[test]
fn a_jobs_result_that_three_kills_hit_is_not_owed() {
    let mut forger = Forger::new();
    let run = forger.runs("U1", "/report", "fish");
    forger.shows(&run, "U1", "ack", "on its way").acks(&run, 1);
    forger.orders(&run, "fish", 1, "1.1");
    let buried = |envelope: &str| Buried {
        name: format!("acme/{envelope}/report#1"),
        handler: "report".to_owned(),
    };
    let judged = |buried| judge_without(&forger.record(), &KILLED, &[buried]);
    judged(buried(&run.envelope)).assert_kept();
    assert_eq!(judged(buried("e-404")).violations.len(), 1);
}

#[test]
fn p2_reports_ordered_in_another_order_than_one_socket_brought_them_are_caught() {
    let mut forger = Forger::new();
    let first = forger.runs("U1", "/report", "fish");
    let second = forger.runs("U1", "/report", "soup");
    forger.orders(&second, "soup", 1, "1.1");
    forger.orders(&first, "fish", 2, "1.2");
    let words = "was delivered after";
    caught(&forger, Promise::InOrderPerKey, words);
}

#[test]
fn p3_an_answer_from_a_state_of_before_or_of_a_turn_that_never_was_is_caught() {
    for wrong in [0, 2] {
        let mut forger = Forger::new();
        forger.round("U1", "C1", 1);
        // Of another user, and of no matter.
        forger.round("U2", "C1", 1);
        let run = forger.runs("U1", "/greeted", "");
        let text = format!("{wrong} so far");
        forger.shows(&run, "U1", "ack", &text).acks(&run, 1);
        caught(&forger, Promise::AllOrNothing, "where 1 to 1 is possible");
    }
    let mut forger = Forger::new();
    let run = forger.runs("U1", "/greeted", "");
    forger
        .shows(&run, "U1", "ack", "Sorry, that did not work.")
        .acks(&run, 1);
    caught(&forger, Promise::AllOrNothing, "was answered \"Sorry");
}

#[test]
fn p3_a_gap_and_a_repeat_in_a_users_reports_are_caught() {
    for wrong in [1, 3] {
        let mut forger = Forger::new();
        forger.report("U1", "fish", 1);
        forger.report("U1", "soup", wrong);
        caught(&forger, Promise::AllOrNothing, "instead of 2");
    }
}

#[test]
fn p4_a_command_answered_twice_or_to_somebody_else_is_caught() {
    let mut forger = Forger::new();
    let run = forger.runs("U1", "/greeted", "");
    forger
        .acks(&run, 1)
        .shows(&run, "U1", "response_url", "0 so far");
    verdict(&forger).assert_kept();
    forger.kill(1).life(2);
    forger.shows(&run, "U1", "response_url", "0 so far");
    // Slack took it, and the kill fell before our note of that.
    assert_eq!(judge(&forger.record(), &KILLED).doubled_by_kills, 1);
    judge(&forger.record(), &KILLED).assert_kept();
    caught(&forger, Promise::HandledOnce, "was answered twice");

    let mut forger = Forger::new();
    let run = forger.runs("U1", "/greeted", "");
    forger.shows(&run, "U1", "ack", "0 so far").acks(&run, 1);
    forger.kill(1).life(2);
    forger.shows(&run, "U1", "response_url", "0 so far");
    let words = "was answered twice";
    caught_under(&KILLED, &forger, Promise::HandledOnce, words);

    let mut forger = Forger::new();
    let run = forger.runs("U1", "/greeted", "");
    forger.shows(&run, "U2", "ack", "0 so far").acks(&run, 1);
    caught(&forger, Promise::HandledOnce, "to somebody else");
}

#[test]
fn p4_an_order_or_a_result_posted_twice_is_caught() {
    let mut forger = Forger::new();
    let run = forger.report("U1", "fish", 1);
    forger.reports(&run, "fish", &format!("17{}.000001", run.envelope));
    caught_under(
        &KILLED,
        &forger,
        Promise::HandledOnce,
        "no kill lies between",
    );

    let mut forger = Forger::new();
    let run = forger.report("U1", "fish", 1);
    let thread = format!("17{}.000001", run.envelope);
    // In the channel, where an answer in a thread does not stand.
    forger.kill(1).life(2).looks("C1", None);
    forger.reports(&run, "fish", &thread);
    caught_under(&KILLED, &forger, Promise::HandledOnce, "was not looked for");
    let mut forger = Forger::new();
    let run = forger.report("U1", "fish", 1);
    let thread = format!("17{}.000001", run.envelope);
    forger.kill(1).life(2).looks("C1", Some(&thread));
    forger.reports(&run, "fish", &thread);
    caught_under(&KILLED, &forger, Promise::HandledOnce, "and not found");
}

#[test]
fn p4_a_result_outside_its_thread_or_of_nothing_is_caught() {
    let mut forger = Forger::new();
    let run = forger.runs("U1", "/report", "fish");
    forger
        .orders(&run, "fish", 1, "1.1")
        .reports(&run, "fish", "9.9");
    caught(&forger, Promise::HandledOnce, "not in its order's thread");

    let mut forger = Forger::new();
    let run = forger.runs("U1", "/report", "fish");
    forger
        .orders(&run, "fish", 1, "1.1")
        .reports(&run, "soup", "1.1");
    caught(&forger, Promise::HandledOnce, "is no result of");

    let mut forger = Forger::new();
    let mut run = forger.runs("U1", "/report", "fish");
    run.envelope = "e-404".to_owned();
    forger.orders(&run, "fish", 1, "1.1");
    caught(&forger, Promise::HandledOnce, "which no command led to");

    let mut forger = Forger::new();
    let mut run = forger.runs("U1", "/report", "fish");
    run.user = "U2";
    forger.orders(&run, "fish", 1, "1.1");
    caught(&forger, Promise::HandledOnce, "was ordered as");
}

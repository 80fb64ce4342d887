//! A post that Slack took in the moment of the kill is found, however much was written since.

use callboard::sim::{Fault, What};

use super::program::Program;
use super::{RULES, hasty, quiesce};
use crate::judge::{Record, judge};
use crate::stand::{Stand, is_answer};

/// More than one page of a look, in the channel and in the thread.
const NEWER: usize = 450;

/// A post is taken, its answer is lost, and looking for it fails until the process is dead: so no note of it is made.
fn killed_before_its_note(stand: &mut Stand, text: &str, in_thread: bool) {
    let general = stand.places[0].general.clone();
    let head = stand.says(0, 1, "who is there?");
    let thread = in_thread.then_some(&head);
    let program = Program::start(stand);
    let slack = &stand.simulator;
    slack.fault("chat.postMessage", Fault::CutAfter, 1);
    for method in ["conversations.history", "conversations.replies"] {
        slack.fault(method, Fault::Outage { status: 503 }, u32::MAX);
    }
    stand.says_in(0, 0, text, &general, thread);
    stand.answered(1);
    let is_look = |what: &What| matches!(what, What::Call { method, .. } if method.starts_with("conversations."));
    stand.recorded("a look that fails", 1, is_look);
    program.kill();
    stand.simulator.clear_faults();
    for _ in 0..NEWER {
        stand.says_in(0, 2, "small talk", &general, thread);
    }
}

#[track_caller]
fn found(in_thread: bool) {
    let mut stand = hasty(1);
    killed_before_its_note(&mut stand, "hello", in_thread);
    let program = Program::start(&stand);
    // Behind the first in its lane.
    stand.says(0, 0, "hello again");
    stand.answered(2);
    quiesce(&mut stand, &program, &RULES);
    assert_eq!(program.stop(), Some(0), "everything was settled");
    let verdict = judge(&Record::of(stand.record()), &RULES);
    verdict.assert_kept();
    assert_eq!(verdict.answered, 2);
    let record = stand.record();
    let posts = record.iter().filter(|entry| is_answer(&entry.what));
    assert_eq!(posts.count(), 2, "each once");
}

#[test]
fn a_post_that_a_kill_left_without_its_note_is_found_behind_any_number_of_newer_messages() {
    found(false);
}

#[test]
fn an_answer_in_a_thread_that_a_kill_left_without_its_note_is_found_in_its_thread() {
    found(true);
}

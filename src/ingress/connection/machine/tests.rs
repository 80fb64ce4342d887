//! A connection through every kind of end.

use super::*;
use crate::base::clock::Clock;

struct Run {
    machine: Machine,
    now: Instant,
}

impl Run {
    fn new() -> Self {
        Self {
            machine: Machine::new(Rng::seeded(3)),
            now: Clock::system().now(),
        }
    }

    fn up() -> Self {
        let mut run = Self::new();
        run.step(Input::Start);
        run.open(1);
        run
    }

    fn step(&mut self, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        self.machine.step(self.now, input, &mut out);
        out
    }

    fn open(&mut self, generation: Generation) -> Vec<Output> {
        assert_eq!(
            self.step(Input::Ticket(generation)),
            [Output::Dial(generation)]
        );
        assert_eq!(self.step(Input::Opened(generation)), []);
        self.step(Input::Hello(generation))
    }

    /// Waits for what it waits for.
    fn tick(&mut self) -> Vec<Output> {
        self.now = self.machine.next_tick().unwrap();
        self.step(Input::Tick)
    }
}

fn refused(is_final: bool, after: Option<Duration>) -> Refused {
    Refused {
        error: "no".into(),
        after,
        is_final,
    }
}

#[test]
fn the_replacement_says_hello_before_the_old_socket_is_let_go() {
    let mut run = Run::up();
    let leave = Input::Disconnect(1, "warning".into());
    assert_eq!(run.step(leave), [Output::Ask(2)]);
    let again = Input::Disconnect(1, "refresh_requested".into());
    assert_eq!(run.step(again), [], "one replacement is on its way");
    assert_eq!(run.open(2), [Output::Up(2)]);
    assert_eq!(run.tick(), [Output::Close(1)], "the old one had its time");
    assert_eq!(run.step(Input::Closed(1, "x".into())), []);
    assert_eq!(run.machine.next_tick(), None);
}

#[test]
fn a_close_is_followed_by_a_wait_then_a_new_socket() {
    let mut run = Run::up();
    let out = run.step(Input::Closed(1, "cut".into()));
    assert!(out.contains(&Output::Down("cut".into())));
    assert!(run.machine.next_tick().unwrap() - run.now <= RECONNECT_FIRST);
    assert_eq!(run.tick(), [Output::Ask(2)]);
}

#[test]
fn refusals_back_off_honour_slacks_wait_and_end_when_they_are_final() {
    let mut run = Run::new();
    run.step(Input::Start);
    let wait = Some(Duration::from_secs(90));
    run.step(Input::Refused(1, refused(false, wait)));
    assert!(run.machine.next_tick().unwrap() - run.now >= Duration::from_secs(90));
    assert_eq!(run.tick(), [Output::Ask(2)]);
    let out = run.step(Input::Refused(2, refused(true, None)));
    assert_eq!(out, [Output::Stopped("no".into())]);
    assert_eq!(run.step(Input::Start), [], "for good");
}

#[test]
fn a_disconnect_before_hello_and_a_missing_hello_are_failures() {
    let mut run = Run::new();
    run.step(Input::Start);
    run.step(Input::Ticket(1));
    run.step(Input::Opened(1));
    let out = run.step(Input::Disconnect(1, "too_many_websockets".into()));
    assert_eq!(
        out,
        [Output::Close(1), Output::Down("too_many_websockets".into())]
    );
    run.step(Input::Closed(1, "x".into()));
    assert_eq!(run.tick(), [Output::Ask(2)]);
    run.step(Input::Ticket(2));
    run.step(Input::Opened(2));
    assert!(run.tick().contains(&Output::Close(2)), "no hello in time");
}

#[test]
fn link_disabled_ends_it_and_other_words_do_not() {
    let mut run = Run::up();
    assert_eq!(
        run.step(Input::Disconnect(1, "a_new_word".into())),
        [Output::Ask(2)]
    );
    let out = run.step(Input::Disconnect(1, "link_disabled".into()));
    assert!(
        matches!(out.as_slice(), [Output::Close(1), Output::Stopped(_)]),
        "{out:?}"
    );
    assert_eq!(run.step(Input::Ticket(2)), []);
    run.step(Input::Closed(1, "x".into()));
    assert!(run.machine.is_over());
}

#[test]
fn news_of_sockets_that_do_not_matter_any_more_change_nothing() {
    let mut run = Run::up();
    for input in [
        Input::Hello(1),
        Input::Hello(9),
        Input::Closed(9, "x".into()),
        Input::Ticket(9),
        Input::Refused(9, refused(true, None)),
        Input::DialFailed(9, "x".into()),
        Input::Disconnect(9, "warning".into()),
        Input::Tick,
    ] {
        assert_eq!(run.step(input), []);
    }
    assert_eq!(
        run.step(Input::Opened(9)),
        [Output::Close(9)],
        "nobody asked for it"
    );
}

#[test]
fn failures_are_forgotten_only_after_a_connection_has_held() {
    let mut run = Run::new();
    run.step(Input::Start);
    for generation in 1..8 {
        run.step(Input::Refused(generation, refused(false, None)));
        run.tick();
    }
    run.open(8);
    run.step(Input::Closed(8, "at once".into()));
    assert_eq!(run.machine.failures, 8);
    run.tick();
    run.open(9);
    run.now += RECONNECT_SETTLED;
    run.step(Input::Closed(9, "later".into()));
    assert_eq!(run.machine.failures, 1);
}

//! A connection through every kind of end.

mod random;

use super::*;
use crate::base::clock::Clock;
use crate::base::limits::RECONNECT_SETTLED;

pub(super) fn terms(slots: usize) -> Terms {
    Terms {
        slots,
        tier: Tier {
            burst: 20,
            every: Duration::from_millis(1200),
        },
        times: SocketTimes::default(),
        is_reconnecting: true,
    }
}

pub(super) fn hello() -> Said {
    Said::SocketMode(SocketMode::Hello(Greeted::default()))
}

fn asked(reason: &str) -> Said {
    Said::SocketMode(SocketMode::disconnect(reason))
}

fn up(generation: Generation) -> Output {
    Output::Up {
        generation,
        after_gap: None,
    }
}

struct Run {
    machine: Machine,
    now: Instant,
}

impl Run {
    fn new(slots: usize) -> Self {
        Self {
            machine: Machine::new(terms(slots), Rng::seeded(3)),
            now: Clock::system().now(),
        }
    }

    fn up() -> Self {
        let mut run = Self::new(1);
        run.step(Input::Start);
        run.open(1);
        run
    }

    fn two_up() -> Self {
        let mut run = Self::new(2);
        assert_eq!(run.step(Input::Start), [Output::Ask(1)], "one at a time");
        assert_eq!(run.open(1), [up(1), Output::Ask(2)]);
        assert_eq!(run.open(2), [up(2)]);
        run
    }

    fn step(&mut self, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        self.machine.step(self.now, input, &mut out);
        out
    }

    fn say(&mut self, generation: Generation, reason: &str) -> Vec<Output> {
        self.step(Input::Said(generation, asked(reason)))
    }

    fn open(&mut self, generation: Generation) -> Vec<Output> {
        assert_eq!(
            self.step(Input::Ticket(generation)),
            [Output::Dial(generation)]
        );
        assert_eq!(self.step(Input::Opened(generation)), []);
        self.step(Input::Said(generation, hello()))
    }

    /// Waits for what it waits for.
    fn tick(&mut self) -> Vec<Output> {
        self.now = self.machine.next_tick().unwrap();
        self.step(Input::Tick)
    }

    /// Waits until it asks for a ticket.
    fn until_asked(&mut self) -> Generation {
        for _ in 0..200 {
            for output in self.tick() {
                if let Output::Ask(generation) = output {
                    return generation;
                }
            }
        }
        panic!("it never asked");
    }
}

pub(super) fn refused(is_final: bool, after: Option<Duration>) -> Refused {
    Refused {
        error: "no".into(),
        after,
        is_final,
    }
}

#[test]
fn the_replacement_says_hello_before_the_old_socket_is_let_go() {
    let mut run = Run::up();
    assert_eq!(run.say(1, "warning"), [Output::Ask(2)]);
    assert_eq!(
        run.say(1, "refresh_requested"),
        [],
        "one replacement is on its way"
    );
    assert_eq!(run.open(2), [up(2)]);
    assert_eq!(run.tick(), [Output::Look(1)], "has it something to ack?");
    assert_eq!(run.tick(), [Output::Look(1)]);
    assert_eq!(run.step(Input::Idle(1)), [Output::Close(1)]);
    assert_eq!(run.step(Input::Idle(1)), [], "told already");
    assert_eq!(run.step(Input::Closed(1, "x".into())), []);
    assert_eq!(run.machine.next_tick(), None);
}

#[test]
fn while_slack_asks_every_serving_socket_to_leave_an_old_one_stays() {
    let mut run = Run::up();
    run.say(1, "warning");
    run.open(2);
    run.say(2, "warning");
    assert_eq!(run.step(Input::Idle(1)), []);
    run.open(3);
    assert_eq!(run.step(Input::Idle(1)), [Output::Close(1)]);
}

#[test]
fn an_old_socket_that_is_never_idle_goes_all_the_same() {
    let mut run = Run::up();
    run.say(1, "warning");
    run.open(2);
    let since = run.now;
    while run.tick() == [Output::Look(1)] {}
    assert_eq!(run.now - since, SocketTimes::default().retire_within);
}

#[test]
fn two_slots_that_are_told_at_once_are_replaced_one_after_the_other() {
    let mut run = Run::two_up();
    assert_eq!(run.say(1, "refresh_requested"), [Output::Ask(3)]);
    assert_eq!(run.say(2, "refresh_requested"), [], "it waits for its turn");
    assert_eq!(run.open(3), [up(3), Output::Ask(4)]);
    assert_eq!(run.open(4), [up(4)]);
}

#[test]
fn a_lost_socket_does_not_wait_long_for_another_slots_turn() {
    let mut run = Run::two_up();
    run.say(1, "refresh_requested");
    let begun = run.now;
    run.step(Input::Closed(2, "cut".into()));
    let generation = run.until_asked();
    assert!(
        generation == 4 && run.now - begun <= SLOT_APART,
        "{generation}"
    );
}

#[test]
fn an_ageing_socket_is_replaced_before_slack_asks() {
    let mut run = Run::new(1);
    run.step(Input::Start);
    run.step(Input::Ticket(1));
    run.step(Input::Opened(1));
    let greeted = Greeted {
        connections: 1,
        life_s: Some(360),
    };
    let began = run.now;
    run.step(Input::Said(1, Said::SocketMode(SocketMode::Hello(greeted))));
    assert_eq!(run.tick(), [Output::Ask(2)]);
    let age = (run.now - began).as_secs();
    assert!((288..=324).contains(&age), "{age}");
    run.open(2);
    assert_eq!(run.machine.view().reasons.get("age"), Some(&1));
}

#[test]
fn where_slack_takes_no_more_the_old_socket_makes_room() {
    let mut run = Run::up();
    run.say(1, "warning");
    run.step(Input::Ticket(2));
    run.step(Input::Opened(2));
    let out = run.say(2, "too_many_websockets");
    assert!(
        out.contains(&Output::Close(2)) && out.contains(&Output::Close(1)),
        "{out:?}"
    );
    assert_eq!(run.machine.view().broken_first, 1);
    let generation = run.until_asked();
    assert_eq!(generation, 3);
    run.open(3);
    assert_eq!(run.machine.view().gaps, 1);
}

#[test]
fn nine_slots_and_their_replacements_never_hold_more_than_ten_sockets() {
    let mut run = Run::new(9);
    run.step(Input::Start);
    for generation in 1..=9 {
        run.open(generation);
    }
    for generation in 1..=9 {
        run.say(generation, "warning");
    }
    let mut open: Vec<Generation> = (1..=9).collect();
    for next in 10..=18 {
        while run.machine.generation < next {
            run.tick();
            // What is told to close is gone soon after.
            for retiring in run.machine.retiring.clone() {
                if retiring.is_told {
                    open.retain(|it| *it != retiring.generation);
                    run.step(Input::Closed(retiring.generation, "closed".into()));
                }
            }
        }
        run.open(next);
        open.push(next);
        assert!(open.len() <= 10, "{open:?}");
    }
    assert_eq!(run.machine.view().reconnects, 9);
}

#[test]
fn a_socket_that_gets_nothing_while_the_other_gets_much_is_replaced() {
    let mut run = Run::two_up();
    let many = DEAF_MANY;
    assert_eq!(run.step(Input::Heard(1, many)), [], "not so soon");
    run.now += SocketTimes::default().deaf_after;
    assert_eq!(run.step(Input::Heard(1, 1)), [Output::Ask(3)]);
    run.open(3);
    assert_eq!(run.machine.view().reasons.get("deaf"), Some(&1));
    run.now += SocketTimes::default().deaf_after;
    assert_eq!(run.step(Input::Heard(1, many)), [], "twice the patience");
    run.step(Input::Heard(3, 1));
    assert_eq!(run.machine.slots[1].deaf, 0, "it hears");
}

const DEAF_MANY: u64 = 2 * crate::base::limits::DEAF_ENVELOPES;

#[test]
fn more_sockets_than_ours_raise_an_alarm_and_our_own_do_not() {
    let mut run = Run::up();
    run.say(1, "warning");
    run.step(Input::Ticket(2));
    run.step(Input::Opened(2));
    let counted = |connections| {
        let greeted = Greeted {
            connections,
            life_s: None,
        };
        Said::SocketMode(SocketMode::Hello(greeted))
    };
    assert_eq!(run.step(Input::Said(2, counted(2))), [up(2)]);
    run.step(Input::Idle(1));
    run.step(Input::Closed(1, "closed".into()));
    assert_eq!(run.say(2, "warning"), [Output::Ask(3)]);
    run.step(Input::Ticket(3));
    run.step(Input::Opened(3));
    let out = run.step(Input::Said(3, counted(5)));
    assert_eq!(out, [up(3), Output::Ghosts(2)], "one has just ended");
}

#[test]
fn a_close_is_followed_by_a_wait_then_a_new_socket() {
    let mut run = Run::up();
    let out = run.step(Input::Closed(1, "cut".into()));
    assert_eq!(out, [Output::Down("cut".into())]);
    assert!(run.machine.next_tick().unwrap() - run.now <= RECONNECT_FIRST);
    let down = run.now;
    assert_eq!(run.until_asked(), 2);
    let since = Output::Up {
        generation: 2,
        after_gap: Some(down),
    };
    assert_eq!(run.open(2), [since]);
}

#[test]
fn refusals_back_off_honour_slacks_wait_and_end_when_they_are_final() {
    let mut run = Run::new(1);
    run.step(Input::Start);
    let wait = Some(Duration::from_secs(90));
    run.step(Input::Refused(1, refused(false, wait)));
    let begun = run.now;
    run.step(Input::Start);
    assert!(run.machine.next_tick().unwrap() - begun >= Duration::from_secs(90));
    assert_eq!(run.tick(), [Output::Ask(2)]);
    let out = run.step(Input::Refused(2, refused(true, None)));
    assert_eq!(out, [Output::Stopped("no".into())]);
    assert_eq!(run.machine.next_tick(), None);
    assert_eq!(run.step(Input::Start), [Output::Ask(3)], "revived");
}

#[test]
fn no_more_tickets_than_the_tier_allows_and_some_are_spared_for_losses() {
    let mut run = Run::up();
    let begun = run.now;
    let mut generation = 1;
    while run.now - begun < Duration::from_mins(1) {
        run.say(generation, "refresh_requested");
        generation = if run.machine.generation > generation {
            run.machine.generation
        } else {
            run.until_asked()
        };
        run.open(generation);
        for retiring in run.machine.retiring.clone() {
            run.step(Input::Closed(retiring.generation, "closed".into()));
        }
    }
    assert!((60..=71).contains(&generation), "{generation}");
    let before = run.now;
    run.step(Input::Closed(generation, "cut".into()));
    run.until_asked();
    assert!(run.now - before <= RECONNECT_FIRST, "spared");
}

#[test]
fn a_disconnect_before_hello_and_a_missing_hello_are_failures() {
    let mut run = Run::new(1);
    run.step(Input::Start);
    run.step(Input::Ticket(1));
    run.step(Input::Opened(1));
    let out = run.say(1, "too_many_websockets");
    assert_eq!(
        out,
        [Output::Close(1), Output::Down("too_many_websockets".into())]
    );
    run.step(Input::Closed(1, "x".into()));
    assert_eq!(run.until_asked(), 2);
    run.step(Input::Ticket(2));
    run.step(Input::Opened(2));
    assert!(run.tick().contains(&Output::Close(2)), "no hello in time");
}

#[test]
fn link_disabled_ends_it_and_other_words_do_not() {
    let mut run = Run::up();
    assert_eq!(run.say(1, "a_new_word"), [Output::Ask(2)]);
    let out = run.say(1, "link_disabled");
    assert!(
        matches!(out.as_slice(), [Output::Close(1), Output::Stopped(_)]),
        "{out:?}"
    );
    assert_eq!(run.step(Input::Ticket(2)), []);
    assert!(!run.machine.is_over());
    run.step(Input::Closed(1, "x".into()));
    assert!(run.machine.is_over());
}

#[test]
fn news_of_sockets_that_do_not_matter_any_more_change_nothing() {
    let mut run = Run::up();
    for input in [
        Input::Said(1, hello()),
        Input::Said(9, hello()),
        Input::Closed(9, "x".into()),
        Input::Ticket(9),
        Input::Refused(9, refused(true, None)),
        Input::DialFailed(9, "x".into()),
        Input::Said(9, asked("warning")),
        Input::Heard(9, 5),
        Input::Idle(9),
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
    let mut run = Run::new(1);
    run.step(Input::Start);
    for generation in 1..8 {
        run.step(Input::Refused(generation, refused(false, None)));
        run.until_asked();
    }
    run.open(8);
    run.step(Input::Closed(8, "at once".into()));
    assert_eq!(run.machine.slots[0].failures, 8);
    run.until_asked();
    run.open(9);
    run.now += RECONNECT_SETTLED;
    run.step(Input::Closed(9, "later".into()));
    assert_eq!(run.machine.slots[0].failures, 1);
}

#[test]
fn a_connection_that_does_not_reconnect_stops_with_its_last_socket_and_starts_when_told() {
    let mut run = Run::two_up();
    run.machine.set_reconnecting(false);
    assert_eq!(run.step(Input::Closed(1, "cut".into())), []);
    // What Slack asks for is no loss.
    run.now += Duration::from_secs(10);
    assert_eq!(run.say(2, "refresh_requested"), [Output::Ask(3)]);
    run.open(3);
    let all = run.step(Input::Closed(3, "cut".into()));
    assert!(matches!(all.last(), Some(Output::Stopped(_))), "{all:?}");
    run.now += Duration::from_secs(10);
    // The old one that Slack asked to leave still went its way; nothing else happens.
    assert_eq!(run.step(Input::Tick), [Output::Close(2)]);
    assert_eq!(run.step(Input::Start).last(), Some(&Output::Ask(4)));
    // Switched on again before the next loss, it goes on.
    run.open(4);
    run.machine.set_reconnecting(true);
    run.step(Input::Closed(4, "cut".into()));
    run.now += Duration::from_mins(1);
    assert!(
        run.step(Input::Tick)
            .iter()
            .any(|it| matches!(it, Output::Ask(_)))
    );
}

#[test]
fn sockets_that_are_asked_for_replace_those_that_serve_one_by_one() {
    let mut run = Run::two_up();
    assert_eq!(run.step(Input::Renew), [Output::Ask(3)], "one at a time");
    let all = run.open(3);
    assert!(all.contains(&Output::Ask(4)), "{all:?}");
    assert_eq!(run.machine.serving(), Some(3));
}

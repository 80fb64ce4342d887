//! One key's turns as a state machine: one at a time, in order, retried at the head, given up in the end.

use std::collections::VecDeque;
use std::time::Duration;

use smallvec::SmallVec;

use crate::base::backoff::Backoff;
use crate::base::clock::Instant;
use crate::base::limits::{
    TURN_ATTEMPTS_MAX, TURN_RETRIED_WITHIN, TURN_RETRY_FIRST, TURN_RETRY_MOST,
};
use crate::base::rng::Rng;

/// A delivery, as far as its turns depend on it.
pub(super) trait Item {
    /// The shard's number for it.
    fn slot(&self) -> u64;

    /// It comes from an earlier run, and may have ended it: its attempt must be on record before it runs.
    fn is_suspect(&self) -> bool;

    /// While it waits for a retry, later ones pass.
    fn is_aside(&self) -> bool;
}

/// What happens to the machine. `D` is a delivery with its tokens.
#[derive(Debug)]
pub(super) enum Input<D> {
    /// A delivery for this key.
    Delivered(D),
    /// The stored state was read and taken.
    Loaded,
    /// The stored state can't be read.
    NotLoaded(String),
    /// The head's attempt is on record.
    OnRecord,
    /// The running turn ended well and was submitted.
    Committed,
    /// The running turn ended badly.
    Failed(String),
    /// The wait before a retry of the head is over.
    RetryDue,
    /// The wait of a delivery that let others pass is over.
    AsideDue(u64),
}

/// What the shell must do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Output<D> {
    /// Read the stored state.
    Load,
    /// Put the head's attempt on record.
    Record,
    /// The process survived the attempt of this delivery that is on record.
    Survived(u64),
    /// Start the head's turn.
    Begin {
        /// 1 for the first try.
        attempt: u32,
    },
    /// The head is done: drop it.
    Done(D),
    /// It is given up, with its last error.
    GiveUp {
        /// It.
        delivery: D,
        /// Its last error, and how often it was tried.
        error: String,
    },
    /// Wait, then tell [`Input::RetryDue`].
    RetryAfter(Duration),
    /// Wait, then tell [`Input::AsideDue`] with this number.
    AsideAfter(u64, Duration),
}

/// The outputs of a step: nearly always one or two.
pub(super) type Out<D> = SmallVec<[Output<D>; 2]>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The state is being read.
    Loading,
    /// Nothing to do.
    Idle,
    /// The head's attempt is being put on record.
    Recording,
    /// The head's turn runs.
    Running,
    /// The head waits for its retry; the state is loaded or not.
    Waiting { is_loaded: bool },
}

#[derive(Debug)]
struct Entry<D> {
    delivery: D,
    attempt: u32,
    first_try: Option<Instant>,
    is_on_record: bool,
}

/// The turns of one key.
#[derive(Debug)]
pub(super) struct Machine<D> {
    phase: Phase,
    queue: VecDeque<Entry<D>>,
    aside: VecDeque<(u64, Entry<D>)>,
    next_aside: u64,
    rng: Rng,
}

const BACKOFF: Backoff = Backoff {
    first: TURN_RETRY_FIRST,
    most: TURN_RETRY_MOST,
};

impl<D: Item> Machine<D> {
    /// A machine whose shell reads the state first: it answers with `Loaded` or `NotLoaded`.
    pub(super) fn new(rng: Rng) -> Self {
        Self {
            phase: Phase::Loading,
            queue: VecDeque::new(),
            aside: VecDeque::new(),
            next_aside: 0,
            rng,
        }
    }

    /// The delivery whose turn it is.
    pub(super) fn head(&self) -> Option<&D> {
        self.queue.front().map(|entry| &entry.delivery)
    }

    pub(super) fn step(&mut self, now: Instant, input: Input<D>, out: &mut Out<D>) {
        match (self.phase, input) {
            (phase, Input::Delivered(delivery)) => {
                self.queue.push_back(Entry {
                    delivery,
                    attempt: 0,
                    first_try: None,
                    is_on_record: false,
                });
                if phase == Phase::Idle {
                    self.begin(now, out);
                }
            }
            (phase, Input::AsideDue(number)) => {
                if let Some(at) = self
                    .aside
                    .iter()
                    .position(|(waiting, _)| *waiting == number)
                {
                    self.queue
                        .extend(self.aside.remove(at).map(|(_, entry)| entry));
                }
                if phase == Phase::Idle {
                    self.begin(now, out);
                }
            }
            (Phase::Loading, Input::Loaded) => {
                self.phase = Phase::Idle;
                self.begin(now, out);
            }
            (Phase::Loading, Input::NotLoaded(error)) => self.fail_loading(now, &error, out),
            (Phase::Recording, Input::OnRecord) => {
                if let Some(head) = self.queue.front_mut() {
                    head.is_on_record = true;
                }
                self.begin(now, out);
            }
            (Phase::Running, Input::Committed) => {
                out.extend(
                    self.queue
                        .pop_front()
                        .map(|head| Output::Done(head.delivery)),
                );
                self.begin(now, out);
            }
            (Phase::Running, Input::Failed(error)) => self.fail(now, &error, out),
            (Phase::Waiting { is_loaded: true }, Input::RetryDue) => self.begin(now, out),
            (Phase::Waiting { is_loaded: false }, Input::RetryDue) => {
                self.phase = Phase::Loading;
                out.push(Output::Load);
            }
            // Answers to questions that were not asked: a shell never makes them.
            (
                Phase::Idle | Phase::Recording | Phase::Running | Phase::Waiting { .. },
                Input::Loaded | Input::NotLoaded(_),
            )
            | (
                Phase::Idle | Phase::Loading | Phase::Recording | Phase::Waiting { .. },
                Input::Committed | Input::Failed(_),
            )
            | (
                Phase::Idle | Phase::Loading | Phase::Running | Phase::Waiting { .. },
                Input::OnRecord,
            )
            | (Phase::Idle | Phase::Recording | Phase::Running | Phase::Loading, Input::RetryDue) =>
                {}
        }
    }

    fn begin(&mut self, now: Instant, out: &mut Out<D>) {
        let Some(head) = self.queue.front_mut() else {
            self.phase = Phase::Idle;
            return;
        };
        if head.delivery.is_suspect() && !head.is_on_record {
            self.phase = Phase::Recording;
            out.push(Output::Record);
            return;
        }
        self.phase = Phase::Running;
        head.attempt += 1;
        head.first_try.get_or_insert(now);
        out.push(Output::Begin {
            attempt: head.attempt,
        });
    }

    /// The head's turn failed: again later, or never.
    fn fail(&mut self, now: Instant, error: &str, out: &mut Out<D>) {
        let Some(mut head) = self.queue.pop_front() else {
            return;
        };
        if !head.may_try_again(now) {
            out.push(head.given_up(error));
            return self.begin(now, out);
        }
        // Who fails and lives on is no poison, however often the process ends before the next try.
        if std::mem::take(&mut head.is_on_record) {
            out.push(Output::Survived(head.delivery.slot()));
        }
        let wait = BACKOFF.delay(head.attempt, &mut self.rng);
        if head.delivery.is_aside() {
            self.next_aside += 1;
            out.push(Output::AsideAfter(self.next_aside, wait));
            self.aside.push_back((self.next_aside, head));
            return self.begin(now, out);
        }
        self.queue.push_front(head);
        self.phase = Phase::Waiting { is_loaded: true };
        out.push(Output::RetryAfter(wait));
    }

    /// A state that can't be read counts as a try of the head's turn.
    fn fail_loading(&mut self, now: Instant, error: &str, out: &mut Out<D>) {
        self.phase = Phase::Waiting { is_loaded: false };
        let Some(mut head) = self.queue.pop_front() else {
            out.push(Output::RetryAfter(BACKOFF.most));
            return;
        };
        head.attempt += 1;
        head.first_try.get_or_insert(now);
        if head.may_try_again(now) {
            let wait = BACKOFF.delay(head.attempt, &mut self.rng);
            self.queue.push_front(head);
            out.push(Output::RetryAfter(wait));
            return;
        }
        out.push(head.given_up(error));
        out.push(Output::RetryAfter(BACKOFF.first));
    }
}

impl<D> Entry<D> {
    fn may_try_again(&self, now: Instant) -> bool {
        let tried_for = self
            .first_try
            .map_or(Duration::ZERO, |first| now.saturating_duration_since(first));
        // However long the first try took, there is a second.
        self.attempt < 2 || (self.attempt < TURN_ATTEMPTS_MAX && tried_for < TURN_RETRIED_WITHIN)
    }

    fn given_up(self, error: &str) -> Output<D> {
        Output::GiveUp {
            delivery: self.delivery,
            error: format!("{error} (tried {} times)", self.attempt),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Clock;

    /// Numbers from 100 come from an earlier run; from 200 they let others pass.
    impl Item for u32 {
        fn slot(&self) -> u64 {
            u64::from(*self)
        }

        fn is_suspect(&self) -> bool {
            (100..200).contains(self)
        }

        fn is_aside(&self) -> bool {
            *self >= 200
        }
    }

    fn run(inputs: Vec<Input<u32>>) -> Vec<Output<u32>> {
        let (mut machine, now) = (Machine::new(Rng::seeded(1)), Clock::system().now());
        let mut out = SmallVec::new();
        for input in inputs {
            machine.step(now, input, &mut out);
        }
        out.retain(|output| !matches!(output, Output::RetryAfter(_)));
        out.into_vec()
    }

    fn begin(attempt: u32) -> Output<u32> {
        Output::Begin { attempt }
    }

    #[test]
    fn rule_6_deliveries_wait_for_the_state_and_run_one_at_a_time_in_order() {
        use Input::{Committed, Delivered, Loaded};
        let out = run(vec![
            Delivered(1),
            Delivered(2),
            Loaded,
            Committed,
            Committed,
            Delivered(3),
        ]);
        assert_eq!(
            out,
            [
                begin(1),
                Output::Done(1),
                begin(1),
                Output::Done(2),
                begin(1)
            ]
        );
    }

    #[test]
    fn rule_6_a_failing_head_blocks_its_key_then_is_given_up_and_the_key_goes_on() {
        let mut inputs = vec![Input::Loaded, Input::Delivered(1), Input::Delivered(2)];
        for _ in 0..TURN_ATTEMPTS_MAX {
            inputs.push(Input::Failed("no".into()));
            inputs.push(Input::RetryDue);
        }
        inputs.push(Input::Committed);
        let out = run(inputs);
        let mut expected: Vec<_> = (1..=TURN_ATTEMPTS_MAX).map(begin).collect();
        expected.push(Output::GiveUp {
            delivery: 1,
            error: format!("no (tried {TURN_ATTEMPTS_MAX} times)"),
        });
        expected.extend([begin(1), Output::Done(2)]);
        assert_eq!(out, expected);
    }

    #[test]
    fn a_state_that_cannot_be_read_gives_up_the_head_not_the_key() {
        let mut inputs = vec![Input::Delivered(1), Input::Delivered(2)];
        for _ in 0..TURN_ATTEMPTS_MAX {
            inputs.push(Input::NotLoaded("bad".into()));
            inputs.push(Input::RetryDue);
        }
        inputs.push(Input::Loaded);
        let out = run(inputs);
        assert!(
            out.iter()
                .any(|o| matches!(o, Output::GiveUp { delivery: 1, .. })),
            "{out:?}"
        );
        assert_eq!(out.last(), Some(&begin(1)), "the second runs");
    }

    #[test]
    fn rule_7_an_attempt_of_a_recovered_delivery_is_on_record_while_it_runs_and_no_longer() {
        let out = run(vec![
            Input::Delivered(100),
            Input::Loaded,
            Input::Committed,
            Input::OnRecord,
            Input::Failed("no".into()),
            Input::RetryDue,
            Input::Committed,
            Input::OnRecord,
            Input::Committed,
        ]);
        assert_eq!(
            out,
            [
                Output::Record,
                begin(1),
                Output::Survived(100),
                Output::Record,
                begin(2),
                Output::Done(100)
            ]
        );
    }

    #[test]
    fn rule_6_a_delivery_that_retries_aside_lets_others_pass() {
        let out = run(vec![
            Input::Loaded,
            Input::Delivered(200),
            Input::Delivered(1),
            Input::Failed("no".into()),
            Input::Committed,
            Input::AsideDue(1),
            Input::Committed,
        ]);
        let aside = out
            .iter()
            .position(|o| matches!(o, Output::AsideAfter(1, _)));
        assert_eq!(aside, Some(1));
        let rest: Vec<_> = out
            .into_iter()
            .filter(|o| !matches!(o, Output::AsideAfter(..)))
            .collect();
        assert_eq!(
            rest,
            [
                begin(1),
                begin(1),
                Output::Done(1),
                begin(2),
                Output::Done(200)
            ]
        );
    }

    #[test]
    fn answers_to_questions_that_were_not_asked_change_nothing() {
        let out = run(vec![
            Input::Committed,
            Input::RetryDue,
            Input::Loaded,
            Input::Failed("x".into()),
            Input::OnRecord,
            Input::AsideDue(7),
            Input::NotLoaded("x".into()),
        ]);
        assert_eq!(out, []);
    }
}

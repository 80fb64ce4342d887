//! One key's turns as a state machine: one at a time, in order, retried at the head, given up in the end.

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::backoff::Backoff;
use crate::base::clock::Instant;
use crate::base::limits::{
    TURN_ATTEMPTS_MAX, TURN_RETRIED_WITHIN, TURN_RETRY_FIRST, TURN_RETRY_MOST,
};
use crate::base::rng::Rng;

/// What happens to the machine. `D` is a delivery with its tokens.
#[derive(Debug)]
pub(super) enum Input<D> {
    /// A delivery for this key.
    Delivered(D),
    /// The stored state was read and taken.
    Loaded,
    /// The stored state can't be read.
    NotLoaded(String),
    /// The running turn ended well and was submitted.
    Committed,
    /// The running turn ended badly.
    Failed(String),
    /// The wait before a retry is over.
    RetryDue,
}

/// What the shell must do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Output<D> {
    /// Read the stored state.
    Load,
    /// Start the head's turn.
    Begin {
        /// 1 for the first try.
        attempt: u32,
    },
    /// The head is done: drop it.
    Done(D),
    /// The head is given up.
    GiveUp {
        /// It.
        delivery: D,
        /// Its last error, and how often it was tried.
        error: String,
    },
    /// Wait, then tell.
    RetryAfter(Duration),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The state is being read.
    Loading,
    /// Nothing to do.
    Idle,
    /// The head's turn runs.
    Running,
    /// The head waits for its retry; the state is loaded or not.
    Waiting { is_loaded: bool },
}

/// The turns of one key.
#[derive(Debug)]
pub(super) struct Machine<D> {
    phase: Phase,
    queue: VecDeque<D>,
    attempt: u32,
    first_try: Option<Instant>,
    rng: Rng,
}

const BACKOFF: Backoff = Backoff {
    first: TURN_RETRY_FIRST,
    most: TURN_RETRY_MOST,
};

impl<D> Machine<D> {
    /// A machine whose shell reads the state first: it answers with `Loaded` or `NotLoaded`.
    pub(super) fn new(rng: Rng) -> Self {
        Self {
            phase: Phase::Loading,
            queue: VecDeque::new(),
            attempt: 0,
            first_try: None,
            rng,
        }
    }

    /// The delivery whose turn it is.
    pub(super) fn head(&self) -> Option<&D> {
        self.queue.front()
    }

    pub(super) fn step(&mut self, now: Instant, input: Input<D>, out: &mut Vec<Output<D>>) {
        match (self.phase, input) {
            (phase, Input::Delivered(delivery)) => {
                self.queue.push_back(delivery);
                if phase == Phase::Idle {
                    self.begin(now, out);
                }
            }
            (Phase::Loading, Input::Loaded) => {
                self.phase = Phase::Idle;
                self.begin(now, out);
            }
            (Phase::Loading, Input::NotLoaded(error)) => self.fail(now, &error, false, out),
            (Phase::Running, Input::Committed) => {
                out.extend(self.settle().map(Output::Done));
                self.begin(now, out);
            }
            (Phase::Running, Input::Failed(error)) => self.fail(now, &error, true, out),
            (Phase::Waiting { is_loaded }, Input::RetryDue) => {
                if is_loaded {
                    self.begin(now, out);
                } else {
                    self.phase = Phase::Loading;
                    out.push(Output::Load);
                }
            }
            // Answers to questions that were not asked: a shell never makes them.
            (Phase::Idle | Phase::Running | Phase::Waiting { .. }, Input::Loaded)
            | (Phase::Idle | Phase::Running | Phase::Waiting { .. }, Input::NotLoaded(_))
            | (
                Phase::Idle | Phase::Loading | Phase::Waiting { .. },
                Input::Committed | Input::Failed(_),
            )
            | (Phase::Idle | Phase::Running | Phase::Loading, Input::RetryDue) => {}
        }
    }

    fn begin(&mut self, now: Instant, out: &mut Vec<Output<D>>) {
        if self.queue.is_empty() {
            self.phase = Phase::Idle;
            return;
        }
        self.phase = Phase::Running;
        self.attempt += 1;
        self.first_try.get_or_insert(now);
        out.push(Output::Begin {
            attempt: self.attempt,
        });
    }

    fn fail(&mut self, now: Instant, error: &str, is_loaded: bool, out: &mut Vec<Output<D>>) {
        if !is_loaded {
            // A state that can't be read counts as a try of the head's turn.
            self.attempt += 1;
            self.first_try.get_or_insert(now);
        }
        let tried_for = self
            .first_try
            .map_or(Duration::ZERO, |first| now.saturating_duration_since(first));
        if self.attempt < TURN_ATTEMPTS_MAX && tried_for < TURN_RETRIED_WITHIN {
            self.phase = Phase::Waiting { is_loaded };
            let wait = BACKOFF.delay(self.attempt, &mut self.rng);
            out.push(Output::RetryAfter(wait));
            return;
        }
        let attempts = self.attempt;
        if let Some(delivery) = self.settle() {
            out.push(Output::GiveUp {
                delivery,
                error: format!("{error} (tried {attempts} times)"),
            });
        }
        if is_loaded {
            self.begin(now, out);
        } else if self.queue.is_empty() {
            // The next delivery finds a machine that waits, and a state that is read again.
            self.phase = Phase::Waiting { is_loaded };
            out.push(Output::RetryAfter(BACKOFF.most));
        } else {
            self.phase = Phase::Loading;
            out.push(Output::Load);
        }
    }

    fn settle(&mut self) -> Option<D> {
        self.attempt = 0;
        self.first_try = None;
        self.queue.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Clock;

    fn run(inputs: Vec<Input<u32>>) -> Vec<Output<u32>> {
        let (mut machine, now) = (Machine::new(Rng::seeded(1)), Clock::system().now());
        let mut out = Vec::new();
        for input in inputs {
            machine.step(now, input, &mut out);
        }
        out.retain(|output| !matches!(output, Output::RetryAfter(_)));
        out
    }

    fn begin(attempt: u32) -> Output<u32> {
        Output::Begin { attempt }
    }

    #[test]
    fn deliveries_wait_for_the_state_and_run_one_at_a_time_in_order() {
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
    fn a_failing_head_blocks_its_key_then_is_given_up_and_the_key_goes_on() {
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
    fn answers_to_questions_that_were_not_asked_change_nothing() {
        let out = run(vec![
            Input::Committed,
            Input::RetryDue,
            Input::Loaded,
            Input::Failed("x".into()),
            Input::NotLoaded("x".into()),
        ]);
        assert_eq!(out, []);
    }
}

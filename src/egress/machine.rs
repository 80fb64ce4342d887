//! The outbox as a state machine: lanes, order, retries, the end.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use crate::base::backoff::Backoff;
use crate::base::clock::Instant;
use crate::base::limits::{
    CALL_ATTEMPTS_MAX, CALL_RETRY_FIRST, CALL_RETRY_MOST, CALL_TOO_EARLY_EVERY, CALLS_MAX,
};
use crate::base::rng::Rng;
use crate::flow::effect::Committed;
use crate::flow::effect::Effect;
use crate::flow::gate::Permit;
use crate::slack::id::{ChannelId, Ts};
use crate::store::{Outcome, Record};

/// A lane: app, team, and channel (or method, or URL).
pub(super) type LaneId = (String, String, String);

/// A call with its place in memory.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) committed: Committed,
    pub(super) permit: Permit,
}

/// How one try of a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tried {
    /// Done; what it posted, if it posted.
    Done(Option<(ChannelId, Ts)>),
    /// Try again; `after` when Slack asks for it. It may have been done all the same.
    Again {
        error: String,
        after: Option<Duration>,
        is_unknown: bool,
    },
    /// It can't be tried before it is known whose token it needs.
    NotYet,
    /// It will never work.
    Never(String),
}

#[derive(Debug)]
pub(super) enum Input {
    /// Committed calls, in order.
    Queued(Vec<Queued>),
    /// A try ended.
    Tried(LaneId, Tried),
    /// Time has passed.
    Tick,
    /// The journal is durable up to here.
    Durable(u64),
}

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one allocation per call would cost more than the room"
)]
pub(super) enum Output {
    /// Make this call.
    Send(LaneId, Committed),
    /// Make durable that it is done or given up; [`Machine::submitted`] numbers it.
    Submit(Record),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// In line for one of the calls that may be under way.
    InLine,
    /// Its first call is under way.
    Sending,
    /// Waits before another try.
    Waiting,
    /// Its note is not durable yet.
    Noting,
}

#[derive(Debug)]
struct Lane {
    queue: VecDeque<Queued>,
    phase: Phase,
    attempts: u32,
}

/// The outbox.
#[derive(Debug)]
pub(super) struct Machine {
    lanes: HashMap<LaneId, Lane>,
    in_line: VecDeque<LaneId>,
    /// Lanes that wait, by when they are due; one timer serves them all.
    waiting: BTreeSet<(Instant, LaneId)>,
    under_way: usize,
    unnumbered: VecDeque<LaneId>,
    noting: VecDeque<(u64, LaneId)>,
    rng: Rng,
}

const BACKOFF: Backoff = Backoff {
    first: CALL_RETRY_FIRST,
    most: CALL_RETRY_MOST,
};

impl Machine {
    pub(super) fn new(rng: Rng) -> Self {
        Self {
            lanes: HashMap::new(),
            in_line: VecDeque::new(),
            waiting: BTreeSet::new(),
            under_way: 0,
            unnumbered: VecDeque::new(),
            noting: VecDeque::new(),
            rng,
        }
    }

    /// Calls that are not done.
    pub(super) fn len(&self) -> usize {
        self.lanes.values().map(|lane| lane.queue.len()).sum()
    }

    /// The records of the last step were submitted, the first as entry `first`.
    pub(super) fn submitted(&mut self, first: u64) {
        self.noting.extend((first..).zip(self.unnumbered.drain(..)));
    }

    /// When the next [`Input::Tick`] is wanted.
    pub(super) fn next_tick(&self) -> Option<Instant> {
        self.waiting.first().map(|(due, _)| *due)
    }

    pub(super) fn step(&mut self, now: Instant, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Queued(calls) => {
                for call in calls {
                    self.queue(call);
                }
            }
            Input::Tried(id, tried) => self.tried(now, id, tried, out),
            Input::Tick => {
                while let Some((due, _)) = self.waiting.first()
                    && *due <= now
                {
                    if let Some((_, id)) = self.waiting.pop_first() {
                        self.get_in_line(id, Phase::Waiting);
                    }
                }
            }
            Input::Durable(upto) => self.noted(upto),
        }
        self.start(out);
    }

    fn queue(&mut self, mut call: Queued) {
        let Effect::Call(args) = &call.committed.effect else {
            return;
        };
        let id = (
            call.committed.app.as_str().to_owned(),
            call.committed.team.as_str().to_owned(),
            args.lane(),
        );
        if let Some(lane) = self.lanes.get_mut(&id) {
            // A lane is in order, and goes on only when its last note is durable: before a crash nothing behind its
            // first call was made, so nobody needs to look for it.
            call.committed.is_recovered = false;
            lane.queue.push_back(call);
            return;
        }
        let lane = Lane {
            queue: VecDeque::from([call]),
            phase: Phase::InLine,
            attempts: 0,
        };
        self.lanes.insert(id.clone(), lane);
        self.in_line.push_back(id);
    }

    fn get_in_line(&mut self, id: LaneId, from: Phase) {
        if let Some(lane) = self.lanes.get_mut(&id)
            && lane.phase == from
        {
            lane.phase = Phase::InLine;
            self.in_line.push_back(id);
        }
    }

    fn start(&mut self, out: &mut Vec<Output>) {
        while self.under_way < CALLS_MAX {
            let Some(id) = self.in_line.pop_front() else {
                return;
            };
            let Some(lane) = self.lanes.get_mut(&id) else {
                continue;
            };
            if let Some(head) = lane.queue.front() {
                lane.phase = Phase::Sending;
                lane.attempts += 1;
                self.under_way += 1;
                out.push(Output::Send(id, head.committed.clone()));
            }
        }
    }

    fn tried(&mut self, now: Instant, id: LaneId, tried: Tried, out: &mut Vec<Output>) {
        let Some(lane) = self.lanes.get_mut(&id) else {
            return;
        };
        if lane.phase != Phase::Sending {
            return;
        }
        self.under_way = self.under_way.saturating_sub(1);
        let Some(head) = lane.queue.front_mut() else {
            return;
        };
        let outcome = match tried {
            Tried::Done(posted) => Outcome::Done(posted),
            Tried::Again {
                after, is_unknown, ..
            } if lane.attempts < CALL_ATTEMPTS_MAX => {
                head.committed.is_recovered |= is_unknown;
                let wait = BACKOFF.delay(lane.attempts, &mut self.rng);
                lane.phase = Phase::Waiting;
                let wait = after.map_or(wait, |after| after + wait / 4);
                self.waiting.insert((now + wait, id));
                return;
            }
            Tried::NotYet => {
                lane.attempts = 0;
                lane.phase = Phase::Waiting;
                self.waiting.insert((now + CALL_TOO_EARLY_EVERY, id));
                return;
            }
            Tried::Again { error, .. } | Tried::Never(error) => Outcome::Dead {
                error,
                app: head.committed.app.clone(),
                team: head.committed.team.clone(),
                lane: id.2.clone(),
                effect: Box::new(head.committed.effect.clone()),
            },
        };
        let committed = &head.committed;
        out.push(Output::Submit(Record::Effect {
            seq: committed.seq,
            n: committed.n,
            name: committed.name.clone(),
            outcome,
        }));
        lane.phase = Phase::Noting;
        self.unnumbered.push_back(id);
    }

    fn noted(&mut self, upto: u64) {
        while let Some((seq, _)) = self.noting.front()
            && *seq <= upto
        {
            let Some((_, id)) = self.noting.pop_front() else {
                return;
            };
            let Some(lane) = self.lanes.get_mut(&id) else {
                continue;
            };
            // Its place in memory goes with it.
            drop(lane.queue.pop_front().map(|done| done.permit));
            lane.attempts = 0;
            if lane.queue.is_empty() {
                self.lanes.remove(&id);
            } else {
                self.get_in_line(id, Phase::Noting);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Clock;
    use crate::flow::effect::{Call, EffectName};
    use crate::flow::gate::Gate;
    use crate::flow::key::AppName;
    use serde_json::json;

    fn call(n: u32, channel: &str) -> Queued {
        let serde_json::Value::Object(args) = json!({"channel": channel}) else {
            panic!("an object")
        };
        let call = Call {
            method: "chat.postMessage".into(),
            args,
            posted: std::collections::BTreeMap::default(),
        };
        Queued {
            committed: Committed {
                seq: u64::from(n),
                n: 0,
                name: EffectName(n.to_string()),
                app: AppName::new("a"),
                team: "T".into(),
                effect: Effect::Call(call),
                at_ms: 0,
                is_recovered: false,
            },
            permit: Gate::new(1).try_enter().unwrap(),
        }
    }

    fn lane(channel: &str) -> LaneId {
        ("a".into(), "T".into(), channel.into())
    }

    fn step(machine: &mut Machine, input: Input) -> Vec<String> {
        step_at(machine, Clock::system().now(), input)
    }

    fn step_at(machine: &mut Machine, now: Instant, input: Input) -> Vec<String> {
        let mut out = Vec::new();
        machine.step(now, input, &mut out);
        out.into_iter()
            .map(|output| match output {
                Output::Send(_, call) => format!("send {}", call.name.0),
                Output::Submit(Record::Effect { name, outcome, .. }) => match outcome {
                    Outcome::Done(_) => format!("done {}", name.0),
                    Outcome::Dead { error, .. } => format!("dead {} {error}", name.0),
                },
                Output::Submit(other) => format!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn a_lane_is_in_order_and_waits_for_its_note_while_others_go_on() {
        let mut machine = Machine::new(Rng::seeded(1));
        let calls = vec![call(1, "C1"), call(2, "C1"), call(3, "C2")];
        assert_eq!(
            step(&mut machine, Input::Queued(calls)),
            ["send 1", "send 3"]
        );
        let done = Input::Tried(lane("C1"), Tried::Done(None));
        assert_eq!(step(&mut machine, done), ["done 1"]);
        machine.submitted(10);
        assert!(
            step(&mut machine, Input::Durable(9)).is_empty(),
            "not noted yet"
        );
        assert_eq!(step(&mut machine, Input::Durable(10)), ["send 2"]);
        assert_eq!(machine.len(), 2);
    }

    #[test]
    fn after_a_crash_only_the_first_call_of_a_lane_may_have_been_made_before() {
        let mut machine = Machine::new(Rng::seeded(1));
        let recovered = |n, channel| {
            let mut call = call(n, channel);
            call.committed.is_recovered = true;
            call
        };
        let calls = vec![recovered(1, "C1"), recovered(2, "C1"), recovered(3, "C2")];
        machine.step(Clock::system().now(), Input::Queued(calls), &mut Vec::new());
        let lanes = machine.lanes.values().flat_map(|lane| &lane.queue);
        let mut looked_for: Vec<&str> = lanes
            .filter(|call| call.committed.is_recovered)
            .map(|call| call.committed.name.0.as_str())
            .collect();
        looked_for.sort_unstable();
        assert_eq!(looked_for, ["1", "3"]);
    }

    #[test]
    fn a_wait_that_slack_asks_for_is_kept_and_the_last_try_is_a_dead_letter() {
        let mut machine = Machine::new(Rng::seeded(1));
        step(
            &mut machine,
            Input::Queued(vec![call(1, "C1"), call(2, "C1")]),
        );
        for _ in 1..CALL_ATTEMPTS_MAX {
            let again = Tried::Again {
                error: "busy".into(),
                after: Some(Duration::from_secs(100)),
                is_unknown: false,
            };
            let now = Clock::system().now();
            assert_eq!(
                step_at(&mut machine, now, Input::Tried(lane("C1"), again)),
                [""; 0]
            );
            let due = machine.next_tick().unwrap();
            let waits = (due - now).as_secs();
            assert!((100..140).contains(&waits), "{waits}");
            assert_eq!(step_at(&mut machine, due, Input::Tick), ["send 1"]);
        }
        let last = Tried::Again {
            error: "busy".into(),
            after: None,
            is_unknown: false,
        };
        assert_eq!(
            step(&mut machine, Input::Tried(lane("C1"), last)),
            ["dead 1 busy"]
        );
        machine.submitted(5);
        assert_eq!(
            step(&mut machine, Input::Durable(5)),
            ["send 2"],
            "the lane goes on"
        );
    }

    #[test]
    fn no_more_calls_are_under_way_than_may_be() {
        let mut machine = Machine::new(Rng::seeded(1));
        let calls = (0..200).map(|n| call(n, &format!("C{n}"))).collect();
        assert_eq!(step(&mut machine, Input::Queued(calls)).len(), CALLS_MAX);
        let done = Input::Tried(lane("C0"), Tried::Done(None));
        assert_eq!(
            step(&mut machine, done).len(),
            2,
            "its note, and one more call"
        );
    }

    #[test]
    fn a_call_whose_token_is_not_known_yet_waits_without_counting() {
        let mut machine = Machine::new(Rng::seeded(1));
        step(&mut machine, Input::Queued(vec![call(1, "C1")]));
        for _ in 0..CALL_ATTEMPTS_MAX * 2 {
            step(&mut machine, Input::Tried(lane("C1"), Tried::NotYet));
            let due = machine.next_tick().unwrap();
            assert_eq!(step_at(&mut machine, due, Input::Tick), ["send 1"]);
        }
    }
}

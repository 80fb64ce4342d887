//! What a seed decides: the size of the world, how much happens in it, and what goes wrong.

use std::time::Duration;

use crate::base::rng::Rng;

/// What a seed decides.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) shards: usize,
    pub(super) apps: u64,
    pub(super) teams: u64,
    pub(super) users: u64,
    pub(super) channels: u64,
    pub(super) sockets: u64,
    /// Lives that end early; one more comes after them.
    pub(super) lives: u32,
    /// Things that people do in each life.
    pub(super) acts: u64,
    /// The longest pause between two of them; short ones make bursts.
    pub(super) pause: Duration,
    /// Acts that come at once, once in a life.
    pub(super) burst: u64,
    /// The longest time that a batch takes until it is on disk.
    pub(super) disk: Duration,
    /// The longest time that a frame, an ack or a call is on its way.
    pub(super) net: Duration,
    /// The longest time that a read of the store takes.
    pub(super) read: Duration,
    /// Of 1000 calls, how many suffer.
    pub(super) bad_calls: u64,
    /// Of 1000 batches, how many end the process instead of being written.
    pub(super) bad_batches: u64,
    /// Of 1000 folds, how many find the disk nearly full until the next.
    pub(super) bad_space: u64,
    /// Of 1000 reads of the store, how many fail.
    pub(super) bad_reads: u64,
    /// Of 1000 frames, how many cost their socket.
    pub(super) bad_frames: u64,
    /// Of 1000 messages, how many are trouble to their handlers.
    pub(super) bad_messages: u64,
    /// Slack's ladder is so long that memory does not cover it.
    pub(super) is_long: bool,
    /// The longest pause between two folds.
    pub(super) fold: Duration,
}

impl Plan {
    /// The plan of a seed, drawn from its generator.
    pub(super) fn draw(rng: &mut Rng) -> Self {
        let mut one_of =
            |choices: &[u64]| choices[usize::try_from(rng.below(choices.len() as u64)).unwrap()];
        let ms = Duration::from_millis;
        Self {
            shards: usize::try_from(one_of(&[1, 2, 3])).unwrap(),
            apps: one_of(&[1, 1, 2]),
            teams: one_of(&[1, 1, 2]),
            users: one_of(&[1, 2, 4]),
            channels: one_of(&[1, 2, 3]),
            sockets: one_of(&[1, 2, 3]),
            lives: u32::try_from(one_of(&[0, 1, 3, 6, 10])).unwrap(),
            acts: one_of(&[3, 8, 16]),
            pause: ms(one_of(&[0, 2, 30, 400])),
            burst: one_of(&[0, 0, 0, 10, 90]),
            disk: ms(one_of(&[0, 1, 10, 150])),
            net: ms(one_of(&[0, 1, 10, 100])),
            read: ms(one_of(&[0, 0, 2, 30])),
            bad_calls: one_of(&[0, 20, 200, 500]),
            bad_batches: one_of(&[0, 0, 10, 50]),
            bad_space: one_of(&[0, 0, 0, 300]),
            bad_reads: one_of(&[0, 0, 0, 50]),
            bad_frames: one_of(&[0, 0, 30]),
            bad_messages: one_of(&[0, 100, 500]),
            is_long: one_of(&[0, 0, 0, 1]) == 1,
            fold: ms(one_of(&[50, 1000, 60_000])),
        }
    }

    /// The same world, in which nothing goes wrong any more.
    pub(super) fn calm(&mut self) {
        self.bad_calls = 0;
        self.bad_batches = 0;
        self.bad_space = 0;
        self.bad_reads = 0;
        self.bad_frames = 0;
    }
}

/// What somebody writes.
pub(super) fn words(rng: &mut Rng, number: u64, plan: &Plan) -> String {
    let mut text = format!("#{number} ");
    let mut maybe = |of_1000: u64, word: &str| {
        if rng.below(1000) < of_1000 {
            text.push_str(word);
            text.push(' ');
        }
    };
    maybe(800, "hello");
    maybe(100, "relay=3");
    maybe(100, "edit");
    maybe(150, "aside");
    maybe(100, "naps=20");
    let bad = plan.bad_messages;
    maybe(bad / 4, "fails=1");
    maybe(bad / 8, "fails=3");
    maybe(bad / 8, "panics=2");
    maybe(bad / 20, "stalls=1");
    maybe(bad / 20, "naps=2000");
    maybe(bad / 20, "dies");
    maybe(bad / 10, "ails");
    maybe(bad / 40, "kills");
    maybe(bad / 10, "asks");
    maybe(bad / 20, "writes");
    maybe(bad / 4, "both");
    text
}

/// What stands behind a command.
pub(super) fn command_words(rng: &mut Rng, number: u64, plan: &Plan) -> String {
    let mut text = format!("#{number} ");
    let mut maybe = |of_1000: u64, word: &str| {
        if rng.below(1000) < of_1000 {
            text.push_str(word);
            text.push(' ');
        }
    };
    maybe(100, "naps=20");
    maybe(100, "naps=2499");
    maybe(100, "naps=3000");
    let bad = plan.bad_messages;
    maybe(bad / 4, "fails=1");
    maybe(bad / 8, "panics=2");
    maybe(bad / 20, "stalls=1");
    maybe(bad / 20, "dies");
    maybe(bad / 40, "kills");
    maybe(bad / 20, "asks");
    maybe(bad / 20, "jobpanics");
    text
}

//! Stopping in phases: admit nothing more, ack what is open, close the sockets, let turns and calls end. The threads and the store
//! are then stopped by who started them.

use std::time::Duration;

use tokio::sync::oneshot;

use super::running::{Cast, Ended};
use crate::actor::port::WayBack;
use crate::base::limits::{ANSWER_WITHIN, CLOSE_WITHIN, DRAIN_WITHIN};
use crate::dispatch::inbox::{self, InboxShell};
use crate::egress;
use crate::ingress::supervisor;

/// How often the end of something is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Lets everything that was taken in come to its end, as far as it does in time.
pub(super) async fn drain(cast: &Cast) -> Ended {
    cast.router.close();
    for shard in &cast.shards {
        shard.send(inbox::Stop);
    }
    // What was taken in is acked on the sockets that brought it; then they are in Slack's way only.
    let until = cast.clock.now() + ANSWER_WITHIN + CLOSE_WITHIN;
    while unacked(cast).await > 0 && cast.clock.now() < until {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    cast.supervisor.send(supervisor::Stop);
    let until = cast.clock.now() + DRAIN_WITHIN;
    let left = loop {
        let (left, resting) = unsettled(cast).await;
        if left <= resting || cast.clock.now() >= until {
            break left;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    };
    let until = cast.clock.now() + CLOSE_WITHIN + CLOSE_WITHIN / 2;
    while connections(cast).await > 0 && cast.clock.now() < until {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    if left == 0 {
        Ended::Settled
    } else {
        Ended::Left(left)
    }
}

async fn unacked(cast: &Cast) -> usize {
    let mut sum = 0;
    for shard in &cast.shards {
        sum += counts(shard).await.map_or(0, |counts| counts.unacked);
    }
    sum
}

async fn counts(shard: &WayBack<InboxShell>) -> Option<inbox::Counts> {
    let (answer, answered) = oneshot::channel();
    shard.send(inbox::Count(answer));
    within(answered).await
}

/// How much is not settled, and how much of it nobody works on: it is in the store.
async fn unsettled(cast: &Cast) -> (usize, usize) {
    let (mut sum, mut resting) = (0, 0);
    for shard in &cast.shards {
        let counts = counts(shard).await;
        sum += counts.map_or(1, |counts| counts.unsettled);
        resting += counts.map_or(0, |counts| counts.resting);
    }
    let (answer, answered) = oneshot::channel();
    cast.outbox.send(egress::Count(answer));
    (sum + within(answered).await.unwrap_or(1), resting)
}

async fn connections(cast: &Cast) -> usize {
    let (answer, answered) = oneshot::channel();
    cast.supervisor.send(supervisor::Count(answer));
    within(answered).await.unwrap_or(1)
}

/// An actor whose thread is blocked does not answer; it counts as not settled.
async fn within<T>(answered: oneshot::Receiver<T>) -> Option<T> {
    tokio::time::timeout(CLOSE_WITHIN, answered)
        .await
        .ok()?
        .ok()
}

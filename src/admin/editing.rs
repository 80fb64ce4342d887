//! Dead letters back or away, a few at a time, in a running process or a stopped store.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;

use super::{Told, Which};
use crate::actor::port::WayBack;
use crate::base::limits::{EDITS_AT_ONCE, EDITS_MAX};
use crate::dispatch::inbox::{Exhume, InboxShell};
use crate::flow::key::{AppName, home_shard};
use crate::slack::id::TeamId;
use crate::store::{DeadLetter, Durable, Error, Exhumed, Inspector, Queue, Submission, Submitter};

/// What becomes of a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Retry,
    Drop,
}

/// Who writes the records.
pub(super) enum Hands {
    /// The shards of a running process, each for its own workspaces.
    Shards(Vec<WayBack<InboxShell>>),
    /// Ourselves: the process that would is stopped.
    Own {
        queue: Arc<Queue>,
        from: Submitter,
        told: mpsc::Receiver<Result<Durable, Error>>,
    },
}

/// A dead letter that leaves, and whose it was.
struct Leaving {
    id: u64,
    name: String,
    home: (AppName, TeamId),
    exhumed: Exhumed,
}

/// Edits, and gives the whole answer. Only one edit may be under way: that a letter is still there is seen in
/// what the folder has brought in, and another edit's end would not be in it.
pub(super) async fn edit(
    inspector: &Inspector,
    hands: &mut Hands,
    verb: Verb,
    which: Which,
) -> Vec<String> {
    let mut lines = Vec::new();
    let last = match edit_all(inspector, hands, verb, which, &mut lines).await {
        Ok(more) => Told::End { more, behind: 0 },
        Err(error) => Told::Error { error },
    };
    lines.push(last.line());
    lines
}

/// Whether there is more than one command takes.
async fn edit_all(
    inspector: &Inspector,
    hands: &mut Hands,
    verb: Verb,
    which: Which,
    lines: &mut Vec<String>,
) -> Result<bool, String> {
    let (ids, is_cut) = read(inspector, move |inspector| chosen(inspector, &which)).await?;
    for some in ids.chunks(EDITS_AT_ONCE) {
        let wanted = some.to_vec();
        let letters = read(inspector, move |inspector| {
            inspector
                .letters(&wanted)
                .map_err(|error| error.to_string())
        })
        .await?;
        for &id in some {
            if !letters.iter().any(|letter| letter.id == id) {
                lines.push(Told::Missing { id }.line());
            }
        }
        let mut leaving = Vec::with_capacity(letters.len());
        for letter in letters {
            match leave(letter, verb) {
                Ok(one) => leaving.push(one),
                Err(refused) => lines.push(refused.line()),
            }
        }
        let told: Vec<Told> = leaving.iter().map(|one| one.told(verb)).collect();
        hands.exhume(leaving).await?;
        lines.extend(told.iter().map(Told::line));
    }
    Ok(is_cut)
}

/// Asks the store on a thread where that may take its time.
async fn read<T: Send + 'static>(
    inspector: &Inspector,
    read: impl FnOnce(&Inspector) -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let inspector = inspector.clone();
    let reading = spawn_blocking(move || read(&inspector)).await;
    reading.map_err(|error| error.to_string())?
}

/// The numbers that are meant, and whether some are left out.
fn chosen(inspector: &Inspector, which: &Which) -> Result<(Vec<u64>, bool), String> {
    if !inspector.catch_up() {
        return Err(
            "the store is behind with its journal, so it can't be seen which dead letters are still there; try again"
                .to_owned(),
        );
    }
    let mut ids: Vec<u64> = if which.all {
        let found = inspector.dead_ids(&which.filter, EDITS_MAX + 1);
        found.map_err(|error| error.to_string())?
    } else {
        let ids: BTreeSet<u64> = which.ids.iter().copied().collect();
        ids.into_iter().collect()
    };
    let is_cut = ids.len() > EDITS_MAX;
    ids.truncate(EDITS_MAX);
    Ok((ids, is_cut))
}

fn leave(letter: DeadLetter, verb: Verb) -> Result<Leaving, Told> {
    let (id, name, home) = (letter.id, letter.name.clone(), letter.home());
    let exhumed = match verb {
        Verb::Retry => letter.retried(),
        Verb::Drop => Ok(letter.dropped()),
    };
    match exhumed {
        Ok(exhumed) => Ok(Leaving {
            id,
            name,
            home,
            exhumed,
        }),
        Err(why) => Err(Told::Refused {
            id,
            error: format!("it can't be read any more, only dropped: {why}"),
        }),
    }
}

impl Leaving {
    fn told(&self, verb: Verb) -> Told {
        let (id, name) = (self.id, self.name.clone());
        match verb {
            Verb::Retry => Told::Retried { id, name },
            Verb::Drop => Told::Dropped { id, name },
        }
    }
}

impl Hands {
    /// Has it written; when this returns, it is durable.
    async fn exhume(&mut self, leaving: Vec<Leaving>) -> Result<(), String> {
        match self {
            Self::Shards(shards) => by_shards(shards, leaving).await,
            Self::Own { queue, from, told } => by_ourselves(queue, *from, told, leaving).await,
        }
    }
}

async fn by_shards(shards: &[WayBack<InboxShell>], leaving: Vec<Leaving>) -> Result<(), String> {
    let mut parts: Vec<Vec<Exhumed>> = shards.iter().map(|_| Vec::new()).collect();
    for one in leaving {
        let (app, team) = &one.home;
        if let Some(part) = parts.get_mut(home_shard(app, team, shards.len())) {
            part.push(one.exhumed);
        }
    }
    let mut answers = Vec::new();
    for (shard, exhumed) in shards.iter().zip(parts) {
        if !exhumed.is_empty() {
            let (answer, answered) = oneshot::channel();
            shard.send(Exhume { exhumed, answer });
            answers.push(answered);
        }
    }
    // All are waited for, so that no edit is still under way when the next may begin.
    let mut outcome = Ok(());
    for answered in answers {
        let told = answered.await.unwrap_or(Err(
            "the process stopped before it was done; look at the dead letters again",
        ));
        outcome = outcome.and(told.map_err(str::to_owned));
    }
    outcome
}

async fn by_ourselves(
    queue: &Queue,
    from: Submitter,
    told: &mut mpsc::Receiver<Result<Durable, Error>>,
    leaving: Vec<Leaving>,
) -> Result<(), String> {
    let submissions: Vec<Submission> = leaving
        .iter()
        .flat_map(|one| one.exhumed.records())
        .map(|record| Submission {
            record,
            mark: None,
            from,
        })
        .collect();
    let Some(last) = submissions.len().checked_sub(1) else {
        return Ok(());
    };
    let last = queue.submit(submissions) + u64::try_from(last).unwrap_or(0);
    loop {
        match told.recv().await {
            Some(Ok(durable)) if durable.upto >= last => return Ok(()),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(format!("the store can't be written: {error}")),
            None => return Err("the store is closed".to_owned()),
        }
    }
}

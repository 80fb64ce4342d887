//! The connections of a running process: a look at them, and apps and tokens added, stopped, revived and removed.

use super::{Addition, Meant, Request, Told};
use crate::base::limits::SLOTS_DEFAULT;
use crate::base::secret::Secret;
use crate::ingress::supervisor::{Connections, NewApp, NotDone};

/// Does what a request asks, if it is about connections. Blocks for a moment.
pub(super) fn answer(connections: &Connections, request: Request) -> Option<Vec<String>> {
    let done = match request {
        Request::Connections(Meant { name }) => return Some(look(connections, &name)),
        Request::Revive(Meant { name }) => connections.revive(&name),
        Request::Disconnect(Meant { name }) => connections.stop(&name),
        Request::Remove(Meant { name }) => connections.remove(&name),
        Request::Add(addition) => connections.add(new_app(addition)),
        Request::Inspect(_) | Request::Retry(_) | Request::Drop(_) => return None,
    };
    Some(match done {
        Ok(names) => {
            let told = names.into_iter().map(|name| Told::Done { name });
            complete(told)
        }
        Err(error) => vec![Told::error(&error).line()],
    })
}

fn look(connections: &Connections, name: &str) -> Vec<String> {
    let mut lines = connections.report();
    if !name.is_empty() {
        lines.retain(|line| line.name == name || line.app == name);
        if lines.is_empty() {
            return vec![Told::error(&NotDone::Unknown(name.to_owned())).line()];
        }
    }
    complete(
        lines
            .into_iter()
            .map(|line| Told::Connection(Box::new(line))),
    )
}

fn complete(told: impl Iterator<Item = Told>) -> Vec<String> {
    let end = Told::End {
        more: false,
        behind: 0,
    };
    told.chain([end]).map(|told| told.line()).collect()
}

fn new_app(addition: Addition) -> NewApp {
    NewApp {
        name: addition.name,
        app_token: addition.app_token.map(Secret::new),
        bot_tokens: addition.bot_tokens.into_iter().map(Secret::new).collect(),
        slots: addition.slots.unwrap_or(SLOTS_DEFAULT),
        backfill: addition.backfill,
        ..NewApp::default()
    }
}

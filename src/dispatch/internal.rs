//! What one key sends another, and jobs send back: effects that become deliveries.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use crate::flow::effect::{Committed, Effect};
use crate::flow::envelope::{Arrival, Envelope, Internal, Kind, Memo, Origin, Unreadable};

/// A committed memo as the delivery that it becomes, and the effect that is done with it.
pub(super) fn memo(committed: Committed) -> Result<Box<(Arrival, Committed)>, Unreadable> {
    let Effect::Memo(memo) = &committed.effect else {
        return Err(Unreadable {
            what: "memo",
            why: "another effect".to_owned(),
        });
    };
    let payload = Memo {
        head: Internal {
            effect: committed.name.0.clone(),
            name: memo.name.clone(),
            key: memo.key.clone(),
            hops: memo.hops,
            context: memo.context.clone(),
        },
        from: memo.from.clone(),
        body: memo.body.get().to_owned(),
    };
    arrival(Kind::Memo, &payload, committed)
}

/// A delivery of our own. It has its place on disk already, so it needs no permit.
pub(super) fn arrival(
    kind: Kind,
    payload: &impl Serialize,
    committed: Committed,
) -> Result<Box<(Arrival, Committed)>, Unreadable> {
    let payload = serde_json::to_vec(payload).map_err(|error| Unreadable {
        what: "payload of our own",
        why: error.to_string(),
    })?;
    let origin = Origin {
        app: &committed.app,
        envelope_id: "",
        team: committed.team.clone(),
    };
    let mut envelope = Envelope::read(kind, &origin, Bytes::from(payload), 0)?;
    envelope.team = committed.team.clone();
    let arrival = Arrival {
        envelope: Arc::new(envelope),
        ack: None,
        permit: None,
        is_retry: false,
    };
    Ok(Box::new((arrival, committed)))
}

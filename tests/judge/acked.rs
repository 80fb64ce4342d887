//! P8: at most one ack for each delivery, on the socket that brought it, before its deadline; none for what was
//! never sent.

use std::collections::HashMap;

use super::record::{Record, What};
use super::{Promise, Rules, Verdict};

pub(super) fn judge(record: &Record, rules: &Rules, verdict: &mut Verdict) {
    // By socket and envelope: deliveries without an ack.
    let mut open: HashMap<(u64, &str), i64> = HashMap::new();
    for entry in &record.entries {
        match &entry.what {
            What::EnvelopeSent {
                socket,
                envelope_id,
                ..
            } => *open.entry((*socket, envelope_id)).or_default() += 1,
            What::Ack {
                socket,
                envelope_id,
                is_late,
                ..
            } => {
                let n = entry.n;
                match open.get_mut(&(*socket, envelope_id.as_str())) {
                    Some(left) if *left > 0 => *left -= 1,
                    Some(_) => verdict.broken(
                        Promise::AcksInTime,
                        format!("entry {n}: {envelope_id} is acked twice on socket {socket}"),
                    ),
                    None => verdict.broken(
                        Promise::AcksInTime,
                        format!(
                            "entry {n}: {envelope_id} is acked on socket {socket}, which never brought it"
                        ),
                    ),
                }
                verdict.late_acks += usize::from(*is_late);
                if *is_late && !rules.are_late_acks_declared {
                    let text = format!("entry {n}: the ack of {envelope_id} is late");
                    verdict.broken(Promise::AcksInTime, text);
                }
            }
            // What comes after a socket's end was on its way already, and is nobody's fault.
            What::FrameIgnored { socket, why } if why != "after_close" => verdict.broken(
                Promise::AcksInTime,
                format!(
                    "entry {}: a frame on socket {socket} means nothing: {why}",
                    entry.n
                ),
            ),
            _ => {}
        }
    }
}

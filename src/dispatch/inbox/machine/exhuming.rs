//! Dead letters that an operator brings back or drops.

use super::{Consequence, Machine, Output, Unnumbered};
use crate::base::limits::LAGGING_MAX;
use crate::store::Exhumed;

impl Machine {
    /// Why no dead letter can leave now.
    pub(in crate::dispatch::inbox) fn refusal(&self) -> Option<&'static str> {
        if self.is_stopped {
            Some("the process is stopping; try again once it has stopped")
        } else if self.lagging >= LAGGING_MAX {
            Some("too many deliveries wait on disk already; try again later")
        } else {
            None
        }
    }

    /// What comes back waits on disk like any delivery of its key, in the order of its return.
    pub(super) fn exhume(&mut self, exhumed: Vec<Exhumed>, out: &mut Vec<Output>) {
        for one in exhumed {
            let mut records = one.records();
            if let Exhumed::Delivery { key, .. } = &one
                && !records.is_empty()
            {
                self.lagging += 1;
                out.push(Output::Submit(records.remove(0), None));
                self.unnumbered.push_back(Unnumbered {
                    consequence: Consequence::Returned(key.clone()),
                    row_of: None,
                    lags_for: Some(key.clone()),
                });
            }
            for record in records {
                let consequence = Consequence::Exhumed(Box::new(one.clone()));
                self.submit(record, None, consequence, out);
            }
        }
    }

    /// The dead letter has left.
    pub(super) fn exhumed(seq: u64, exhumed: Exhumed, out: &mut Vec<Output>) {
        let effect = exhumed.committed(seq);
        out.extend(effect.map(|effect| Output::Perform(vec![effect])));
        out.push(Output::Exhumed);
    }
}

//! The writer as a state machine: what is submitted waits, numbered in its order; everything that waits is one
//! batch; a batch becomes entries and marks, and says who is told once they are durable.

use super::{Durable, Submitter};
use crate::flow::envelope::Mark;
use crate::store::Error;
use crate::store::record::{Entry, Record, Submission};

/// What waits for the writer.
#[derive(Debug)]
pub(super) struct Machine {
    next_seq: u64,
    waiting: Vec<Submission>,
    is_closed: bool,
}

/// What the writer does next.
#[derive(Debug)]
pub(super) enum Next {
    /// Write this.
    Write(Batch),
    /// Nothing waits.
    Wait,
    /// Nothing waits, and nothing more will.
    End,
}

/// Everything that waited, in order.
#[derive(Debug)]
pub(in crate::store) struct Batch {
    first: u64,
    submissions: Vec<Submission>,
}

/// A batch as it is written, in one transaction.
#[derive(Debug)]
pub(in crate::store) struct Written {
    pub(in crate::store) entries: Vec<Entry>,
    pub(in crate::store) marks: Vec<Mark>,
    /// What is true then.
    pub(in crate::store) durable: Durable,
    /// Who is told.
    pub(in crate::store) submitters: Vec<Submitter>,
}

impl Machine {
    /// A writer whose first entry is `next_seq`.
    pub(super) fn new(next_seq: u64) -> Self {
        Self {
            next_seq,
            waiting: Vec::new(),
            is_closed: false,
        }
    }

    /// Numbers the submissions; gives the first number, and whether nothing waited before.
    pub(super) fn submit(&mut self, submissions: Vec<Submission>) -> (u64, bool) {
        let (first, was_empty) = (self.next_seq, self.waiting.is_empty());
        self.next_seq += u64::try_from(submissions.len()).unwrap_or(0);
        self.waiting.extend(submissions);
        (first, was_empty)
    }

    /// Nothing more will be submitted.
    pub(super) fn close(&mut self) {
        self.is_closed = true;
    }

    /// How many records wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Takes everything that waits.
    pub(super) fn next(&mut self) -> Next {
        if self.waiting.is_empty() {
            return if self.is_closed {
                Next::End
            } else {
                Next::Wait
            };
        }
        let submissions = std::mem::take(&mut self.waiting);
        let count = u64::try_from(submissions.len()).unwrap_or(0);
        Next::Write(Batch {
            first: self.next_seq - count,
            submissions,
        })
    }
}

impl Batch {
    /// The batch in the form in which it is written, at `at_ms`.
    ///
    /// # Errors
    /// When a record has no JSON; whatever could refuse a single turn was asked before it was submitted.
    pub(in crate::store) fn into_written(self, at_ms: u64) -> Result<Written, Error> {
        let Self { first, submissions } = self;
        let mut written = Written {
            entries: Vec::with_capacity(submissions.len()),
            marks: Vec::new(),
            durable: Durable { upto: first },
            submitters: Vec::new(),
        };
        for (seq, submission) in (first..).zip(submissions) {
            let Submission { record, mark, from } = submission;
            written
                .entries
                .push(Record::into_entry(record, seq, at_ms)?);
            written.marks.extend(mark);
            if !written.submitters.contains(&from) {
                written.submitters.push(from);
            }
            written.durable.upto = seq;
        }
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(row: u64, mark: Option<Mark>, from: usize) -> Submission {
        Submission {
            record: Record::Release { row },
            mark,
            from: Submitter(from),
        }
    }

    #[test]
    fn rule_3_everything_that_waits_is_one_batch_numbered_in_its_order() {
        let mut machine = Machine::new(7);
        assert!(matches!(machine.next(), Next::Wait));
        let first = vec![release(1, Some(Mark(5)), 0), release(2, None, 1)];
        assert_eq!(machine.submit(first), (7, true));
        assert_eq!(machine.submit(vec![release(3, None, 0)]), (9, false));
        assert_eq!(machine.len(), 3);
        machine.close();
        let Next::Write(batch) = machine.next() else {
            panic!("what waits is written before the end")
        };
        let written = batch.into_written(1).unwrap();
        let numbers: Vec<_> = written.entries.iter().map(|e| (e.seq, e.refers)).collect();
        assert_eq!(numbers, [(7, Some(1)), (8, Some(2)), (9, Some(3))]);
        assert_eq!(written.marks, [Mark(5)]);
        assert_eq!(written.durable, Durable { upto: 9 });
        assert_eq!(written.submitters, [Submitter(0), Submitter(1)]);
        assert!(matches!(machine.next(), Next::End));
        assert_eq!(
            machine.submit(vec![release(4, None, 0)]),
            (10, true),
            "numbers go on"
        );
    }
}

//! The writer as a state machine: what is submitted waits, numbered in its order; everything that waits is one
//! batch, which says who is told once it is durable.

use super::Submitter;
use crate::store::record::Submission;

/// What waits for the writer.
#[derive(Debug)]
pub(super) struct Machine {
    next_seq: u64,
    /// As they were submitted: to join them would copy each.
    waiting: Vec<Vec<Submission>>,
    count: usize,
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
    pub(in crate::store) first: u64,
    count: usize,
    submissions: Vec<Vec<Submission>>,
}

impl Machine {
    /// A writer whose first entry is `next_seq`.
    pub(super) fn new(next_seq: u64) -> Self {
        Self {
            next_seq,
            waiting: Vec::new(),
            count: 0,
            is_closed: false,
        }
    }

    /// Numbers the submissions; gives the first number, and whether nothing waited before.
    pub(super) fn submit(&mut self, submissions: Vec<Submission>) -> (u64, bool) {
        let (first, was_empty) = (self.next_seq, self.waiting.is_empty());
        self.next_seq += u64::try_from(submissions.len()).unwrap_or(0);
        self.count += submissions.len();
        self.waiting.push(submissions);
        (first, was_empty)
    }

    /// The number that the next submission gets.
    pub(super) fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Numbers the submissions, and nothing else: they are a batch of their own.
    pub(super) fn pass(&mut self, submissions: Vec<Submission>) -> Batch {
        let (first, count) = (self.next_seq, submissions.len());
        self.next_seq += u64::try_from(count).unwrap_or(0);
        Batch {
            first,
            count,
            submissions: vec![submissions],
        }
    }

    /// Nothing more will be submitted.
    pub(super) fn close(&mut self) {
        self.is_closed = true;
    }

    /// How many records wait.
    pub(super) fn len(&self) -> usize {
        self.count
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
        let count = std::mem::take(&mut self.count);
        Next::Write(Batch {
            first: self.next_seq - u64::try_from(count).unwrap_or(0),
            count,
            submissions: std::mem::take(&mut self.waiting),
        })
    }
}

impl Batch {
    /// The last entry.
    pub(in crate::store) fn upto(&self) -> u64 {
        self.first + u64::try_from(self.count.saturating_sub(1)).unwrap_or(0)
    }

    /// What was submitted, in order.
    pub(in crate::store) fn submissions(&self) -> impl Iterator<Item = &Submission> {
        self.submissions.iter().flatten()
    }

    /// Who is told that it is durable.
    pub(in crate::store) fn submitters(&self) -> Vec<Submitter> {
        let mut submitters = Vec::new();
        for Submission { from, .. } in self.submissions() {
            if !submitters.contains(from) {
                submitters.push(*from);
            }
        }
        submitters
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::envelope::Mark;
    use crate::store::Record;

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
        let rows = batch.submissions().map(|it| match it.record {
            Record::Release { row } => row,
            _ => 0,
        });
        assert_eq!(rows.collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!((batch.first, batch.upto()), (7, 9));
        assert_eq!(batch.submitters(), [Submitter(0), Submitter(1)]);
        assert!(matches!(machine.next(), Next::End));
        assert_eq!(
            machine.submit(vec![release(4, None, 0)]),
            (10, true),
            "numbers go on"
        );
    }
}

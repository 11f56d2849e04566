//! What an earlier process left: taken in again, mended where it is damaged.
//!
//! Invariant: afterwards every byte of a segment is part of a whole record, and what a
//! tombstone covers is overwritten.

use std::collections::BTreeSet;
use std::io;

use super::BlockLog;
use super::index::Location;
use super::record::Record;
use super::scan;
use super::segment::Segment;
use crate::engine::label::BlockLabel;

impl BlockLog {
    /// Reads the heads of a segment of an earlier process, mends it, and takes it in.
    pub(super) fn recover(&mut self, mut segment: Segment) -> io::Result<()> {
        let mut unerased = BTreeSet::new();
        let scan = scan::scan(&segment)?;
        let number = segment.number;
        if scan.end < segment.len() {
            let num_bytes = segment.len() - scan.end;
            tracing::warn!(number, num_bytes, "a record of the disk cache was not finished");
            segment.truncate(scan.end)?;
        }
        for damaged in scan.damaged {
            let num_bytes = damaged.end - damaged.start;
            tracing::warn!(number, num_bytes, "a part of the disk cache is damaged");
            segment.erase(damaged.start, num_bytes)?;
        }
        self.segments.push_back(segment);
        for (offset, head) in scan.records {
            let len = head.record_len();
            match head.record {
                Record::Block(BlockLabel { hash, salt, owner, .. }) => {
                    let location =
                        Location { segment: number, offset, len, salt, owner, used_at: None };
                    match self.index.get(hash) {
                        None => self.index.insert(hash, location),
                        Some(_) => unerased.extend(self.erase_records(&[location])),
                    }
                }
                Record::Forget(scope) => {
                    let forgotten = self.index.take_scope(scope);
                    let places: Vec<_> = forgotten.into_iter().map(|(_, place)| place).collect();
                    unerased.extend(self.erase_records(&places));
                }
                Record::Void => {}
            }
        }
        self.condemn(&unerased);
        Ok(())
    }
}

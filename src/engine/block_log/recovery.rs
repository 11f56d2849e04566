//! What an earlier process left: taken in again, mended where it is damaged, given up
//! where that cannot be done.
//!
//! Invariant: afterwards every byte of a segment is part of a whole record, and what a
//! tombstone covers is overwritten.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use super::BlockLog;
use super::index::Location;
use super::record::{Head, Record};
use super::scan;
use super::segment::Segment;
use crate::engine::label::BlockLabel;

impl BlockLog {
    /// Takes in a segment of an earlier process. One of another identity is of no use,
    /// one that cannot be read or mended neither: their files are to be deleted.
    pub(super) fn take_in(&mut self, number: u64, path: PathBuf) {
        let found = Segment::open(path.clone(), number, self.identity);
        match found.and_then(|segment| segment.map(mend).transpose()) {
            Ok(Some((segment, records))) => self.file(segment, records),
            Ok(None) => self.condemned.push(path),
            Err(error) => {
                tracing::warn!(number, %error, "a segment of the disk cache is not readable");
                self.condemned.push(path);
            }
        }
    }

    /// Files the records of a segment, and does again what they ask for.
    fn file(&mut self, segment: Segment, records: Vec<(u64, Head)>) {
        let number = segment.number;
        let mut unerased = BTreeSet::new();
        self.segments.push_back(segment);
        for (offset, head) in records {
            let len = head.record_len();
            match head.record {
                Record::Block(BlockLabel { hash, parent, salt, owner, .. }) => {
                    let (segment, used_at) = (number, None);
                    let location = Location { segment, offset, len, parent, salt, owner, used_at };
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
    }
}

/// Reads the heads of a segment, and makes whole records of what is none.
fn mend(mut segment: Segment) -> io::Result<(Segment, Vec<(u64, Head)>)> {
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
    Ok((segment, scan.records))
}

//! What goes when the budget is spent, and what outlives that.
//!
//! Invariant: each round frees half a segment, less the head of another, whatever was
//! used.

use super::error::{BlockLogError, During};
use super::index::Location;
use super::segment::{SEGMENT_HEAD_LEN, Segment};
use super::{BlockLog, sound_block};
use crate::engine::label::ChainHash;

impl BlockLog {
    /// Drops the oldest segments until `len` more bytes, and the head of a segment,
    /// fit in the budget. Each round frees half a segment, less the head of another.
    pub(super) fn make_room(&mut self, len: u64) -> Result<(), BlockLogError> {
        let needed = len.saturating_add(SEGMENT_HEAD_LEN);
        while self.num_bytes().saturating_add(needed) > self.capacity_bytes {
            let Some(oldest) = self.segments.front() else { break };
            let (number, kept) = (oldest.number, self.worth_keeping(oldest));
            self.delete_segments(|segment| segment.number == number)?;
            for (hash, mut location, record) in kept {
                (location.segment, location.offset) = self.append_record(&[&record])?;
                self.index.insert(hash, Location { used_at: None, ..location });
            }
        }
        Ok(())
    }

    /// The records of a segment that were used since they were written, the latest
    /// used, up to half of the segment, in their old order.
    fn worth_keeping(&self, segment: &Segment) -> Vec<(ChainHash, Location, Vec<u8>)> {
        let mut used = self.index.used_in(segment.number);
        used.sort_by_key(|(_, location)| std::cmp::Reverse(location.used_at));
        let mut left = segment.len() / 2;
        used.retain(|(_, location)| {
            let fits = location.len <= left;
            left -= if fits { location.len } else { 0 };
            fits
        });
        used.sort_by_key(|(_, location)| location.offset);
        let read = |(hash, location): (ChainHash, Location)| {
            let record = segment.read(location.offset, location.len as usize).ok()?;
            sound_block(hash, &record).is_some().then_some((hash, location, record))
        };
        used.into_iter().filter_map(read).collect()
    }

    /// Deletes segments with all that is in them; those that cannot be deleted stay.
    pub(super) fn delete_segments(
        &mut self,
        is_meant: impl Fn(&Segment) -> bool,
    ) -> Result<(), BlockLogError> {
        let mut outcome = Ok(());
        let index = &mut self.index;
        self.segments.retain(|segment| {
            if !is_meant(segment) {
                return true;
            }
            let deleted = segment.delete().during("delete a segment");
            if deleted.is_ok() {
                index.take(|location| location.segment == segment.number);
                return false;
            }
            outcome = deleted;
            true
        });
        outcome
    }
}

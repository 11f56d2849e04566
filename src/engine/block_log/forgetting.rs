//! How blocks are made to be gone for good.
//!
//! Invariant: first a tombstone, then the overwriting, each on the disk before the next
//! step, so that a process that ends in between is finished by the next one.

use std::collections::BTreeSet;
use std::io;

use super::BlockLog;
use super::error::{BlockLogError, During};
use super::index::Location;
use super::record::Head;
use super::segment::Segment;
use crate::engine::label::Scope;

impl BlockLog {
    /// Forgets blocks: they are not found again, by no later process either, and
    /// their bytes are overwritten before this returns. Where that fails, the
    /// segments that hold them are deleted. Where that fails too, they are found as
    /// before, so that it can be tried again.
    pub(in crate::engine) fn forget(&mut self, scope: Scope) -> Result<(), BlockLogError> {
        let forgotten = self.index.take_scope(scope);
        if forgotten.is_empty() {
            return Ok(());
        }
        let places: Vec<_> = forgotten.iter().map(|&(_, location)| location).collect();
        let erased = self.append_tombstone(scope).and_then(|()| self.erase(&places));
        if let Err(error) = erased {
            tracing::warn!(%error, "the disk cache cannot overwrite: whole segments go");
            let segments: BTreeSet<_> = places.iter().map(|location| location.segment).collect();
            let deleted = self.delete_segments(|segment| segments.contains(&segment.number));
            if deleted.is_err() {
                let forgotten = forgotten.into_iter();
                forgotten.for_each(|(hash, location)| self.index.insert(hash, location));
            }
            return deleted;
        }
        // Segments without a block are of no more use, their tombstones neither: what
        // these were for is overwritten.
        let live = self.index.live_segments();
        if let Err(error) = self.delete_segments(|segment| !live.contains(&segment.number)) {
            tracing::warn!(%error, "a segment of the disk cache stays, though it is empty");
        }
        Ok(())
    }

    pub(super) fn append_tombstone(&mut self, scope: Scope) -> Result<(), BlockLogError> {
        let tombstone = Head::forget(scope);
        self.make_room(tombstone.record_len())?;
        self.append_record(&[&tombstone.encode()])?;
        let last = self.segments.back().expect("it was just written to");
        last.sync().during("write a tombstone")
    }

    fn erase(&self, places: &[Location]) -> Result<(), BlockLogError> {
        self.erase_records(places).during("overwrite a block")?;
        let touched: BTreeSet<_> = places.iter().map(|location| location.segment).collect();
        let mut touched = touched.into_iter().filter_map(|number| self.segment(number));
        touched.try_for_each(Segment::sync).during("overwrite a block")
    }

    pub(super) fn erase_records(&self, places: &[Location]) -> io::Result<()> {
        for location in places {
            if let Some(segment) = self.segment(location.segment) {
                segment.erase(location.offset, location.len)?;
            }
        }
        Ok(())
    }
}

//! How blocks are made to be gone for good.
//!
//! Invariant: first a tombstone, then the overwriting, each on the disk before the next
//! step, so that a process that ends in between is finished by the next one. What can
//! be overwritten is, whether the tombstone could be written or not. What goes because
//! of its parent is overwritten before it, as long as the parent tells why.

use std::collections::BTreeSet;

use super::BlockLog;
use super::error::{BlockLogError, During};
use super::index::Location;
use super::record::Head;
use super::segment;
use crate::engine::label::Scope;

impl BlockLog {
    /// Forgets blocks, and what continues them here, whosever it is: they are not found
    /// again, by no later process either, and their bytes are overwritten before this returns. Where that fails, the
    /// segments that hold them are deleted. Where that fails too, it is an error until
    /// somebody asks again and it does not.
    pub(in crate::engine) fn forget(&mut self, scope: Scope) -> Result<(), BlockLogError> {
        let forgotten = self.index.take_scope(scope);
        if forgotten.is_empty() {
            return self.delete_condemned();
        }
        let places: Vec<_> = forgotten.iter().map(|&(_, location)| location).collect();
        if let Err(error) = self.append_tombstone(scope) {
            tracing::warn!(%error, "the disk cache forgets without a tombstone");
        }
        let unerased = self.erase(&places);
        self.condemn(&unerased);
        self.delete_condemned()?;
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

    /// Overwrites records, and waits until the disk has it; returns the segments where
    /// that failed.
    fn erase(&self, places: &[Location]) -> BTreeSet<u64> {
        let mut failed = self.erase_records(places);
        let touched: BTreeSet<_> = places.iter().map(|location| location.segment).collect();
        for segment in touched.into_iter().filter_map(|number| self.segment(number)) {
            if let Err(error) = segment.sync() {
                tracing::warn!(segment.number, %error, "an overwritten block may still be there");
                failed.insert(segment.number);
            }
        }
        failed
    }

    /// The same without waiting.
    pub(super) fn erase_records(&self, places: &[Location]) -> BTreeSet<u64> {
        let mut failed = BTreeSet::new();
        for &Location { segment: number, offset, len, .. } in places {
            if let Some(segment) = self.segment(number)
                && let Err(error) = segment.erase(offset, len)
            {
                tracing::warn!(number, offset, %error, "a block cannot be overwritten");
                failed.insert(number);
            }
        }
        failed
    }

    /// Gives up whole segments: nothing in them is found any more, and their files are
    /// to be deleted.
    pub(super) fn condemn(&mut self, numbers: &BTreeSet<u64>) {
        if numbers.is_empty() {
            return;
        }
        tracing::warn!(?numbers, "whole segments of the disk cache go");
        self.index.take(|location| numbers.contains(&location.segment));
        let condemned = &mut self.condemned;
        self.segments.retain(|segment| {
            let is_kept = !numbers.contains(&segment.number);
            condemned.extend((!is_kept).then(|| segment.path().to_owned()));
            is_kept
        });
    }

    /// Deletes what was given up. An error as long as any of it is there: nobody can
    /// tell what it holds.
    pub(super) fn delete_condemned(&mut self) -> Result<(), BlockLogError> {
        let mut outcome = Ok(());
        self.condemned.retain(|path| {
            let deleted = segment::remove(path).during("delete a segment");
            let is_there = deleted.is_err();
            if is_there {
                outcome = deleted;
            }
            is_there
        });
        outcome
    }
}

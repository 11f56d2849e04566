//! Reads the heads of a segment's records, and finds its way past damage.
//!
//! Payloads are not read, except to look for the next record behind a damaged head.

use std::io;
use std::ops::Range;

use super::record::{FIXED_LEN, Head, MAGIC, head_len};
use super::segment::{SEGMENT_HEAD_LEN, Segment};

/// Enough for the head of a block of usual size.
const HEAD_READ: usize = FIXED_LEN + 4 * 64;
const SEARCH_READ: usize = 1 << 18;

/// What a segment holds.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Whole records by their offsets, in order.
    pub(super) records: Vec<(u64, Head)>,
    /// What stands between them.
    pub(super) damaged: Vec<Range<u64>>,
    /// Where the last whole record ends; what follows was never finished.
    pub(super) end: u64,
}

pub(super) fn scan(segment: &Segment) -> io::Result<Scan> {
    let mut found = Scan { end: SEGMENT_HEAD_LEN, ..Scan::default() };
    loop {
        let next = match head_at(segment, found.end)? {
            Some(head) => Some((found.end, head)),
            None => search(segment, found.end.saturating_add(1))?,
        };
        let Some((offset, head)) = next else { return Ok(found) };
        if offset > found.end {
            found.damaged.push(found.end..offset);
        }
        found.end = offset.saturating_add(head.record_len());
        found.records.push((offset, head));
    }
}

/// The record that begins at `offset`, if there is a whole one.
fn head_at(segment: &Segment, offset: u64) -> io::Result<Option<Head>> {
    let left = segment.len().saturating_sub(offset);
    let read = |len: usize| segment.read(offset, usize::try_from(left).unwrap_or(len).min(len));
    let mut bytes = read(HEAD_READ)?;
    match head_len(&bytes) {
        Some(len) if len > HEAD_READ && bytes.starts_with(&MAGIC) => bytes = read(len)?,
        _ => {}
    }
    Ok(Head::decode(&bytes).filter(|head| head.record_len() <= left))
}

/// The first whole record from `start` on.
fn search(segment: &Segment, mut start: u64) -> io::Result<Option<(u64, Head)>> {
    while start.saturating_add(FIXED_LEN as u64) <= segment.len() {
        let len = (segment.len() - start).min(SEARCH_READ as u64) as usize;
        let bytes = segment.read(start, len)?;
        for at in bytes.windows(MAGIC.len()).enumerate().filter(|(_, w)| *w == MAGIC) {
            let offset = start + at.0 as u64;
            if let Some(head) = head_at(segment, offset)? {
                return Ok(Some((offset, head)));
            }
        }
        // The magic may lie across two reads.
        start += (len - MAGIC.len() + 1) as u64;
    }
    Ok(None)
}

//! Blocks on the disk, under their chain hashes: a log in segments under a budget.
//!
//! Records are appended to the last segment; the index is in memory and is made from
//! the records' heads when the log is opened. When the budget is spent, the oldest
//! segment goes as a whole, and what was used since it was written is written again,
//! up to half of the segment. What is forgotten is overwritten in place.
//!
//! Knows no tensors and no sequences, and does everything on the caller's thread.
//!
//! Invariant: a payload that comes out is the one that went in under that name, under
//! this identity and key. Every byte of every segment belongs to a block in the index,
//! or to a record that holds none, so that nothing forgotten is left.

mod budget;
mod error;
mod forgetting;
mod index;
mod place;
mod record;
mod recovery;
mod scan;
mod sealer;
mod segment;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

pub(super) use error::BlockLogError;
pub(super) use index::Catalogue;

use super::DiskCacheKey;
use super::label::{BlockLabel, ChainHash};
use error::During;
use index::{Index, Location};
use place::Place;
use record::{Head, Record};
use sealer::Sealer;
use segment::{SEGMENT_HEAD_LEN, Segment};

/// Segments are this long, or an eighth of the budget where that is less.
const MAX_SEGMENT_BYTES: u64 = 64 << 20;
/// Changes when records mean something else.
const FORMAT: &str = "1";

/// A block as it was stored.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StoredBlock {
    pub(super) label: BlockLabel,
    pub(super) payload: Vec<u8>,
}

/// The log, open.
#[derive(Debug)]
pub(super) struct BlockLog {
    place: Place,
    /// Keys the names of blocks.
    key: [u8; 16],
    /// What blocks are sealed with; `None` leaves them in the clear.
    sealer: Option<Sealer>,
    /// What the segments must say of themselves.
    identity: [u8; 16],
    capacity_bytes: u64,
    /// Oldest first; the last is written to.
    segments: VecDeque<Segment>,
    /// Files of segments that were given up and are still there: nobody reads them, and
    /// as long as there is one, nothing is forgotten for certain.
    condemned: Vec<PathBuf>,
    next_number: u64,
    index: Index,
    num_read_errors: u64,
}

impl BlockLog {
    /// Opens the log of a directory, and deletes what is in it under another identity,
    /// beyond the capacity or not readable. `new_key` becomes its key if it has none. With
    /// `sealed_with`, blocks are sealed, and the key is another with each of these: what was
    /// written in the clear, or under another one, is of another identity.
    pub(super) fn open(
        dir: &Path,
        capacity_bytes: u64,
        identity: &str,
        new_key: [u8; 16],
        sealed_with: Option<&DiskCacheKey>,
    ) -> Result<Self, BlockLogError> {
        let place = Place::take(dir)?;
        let of_dir = place.key(new_key)?;
        let (sealer, key) = match sealed_with.map(|key| Sealer::new(key, of_dir)) {
            Some((sealer, names)) => (Some(sealer), names),
            None => (None, of_dir),
        };
        let mut log = Self {
            place,
            key,
            sealer,
            identity: digest(key, identity),
            capacity_bytes,
            segments: VecDeque::new(),
            condemned: Vec::new(),
            next_number: 0,
            index: Index::default(),
            num_read_errors: 0,
        };
        for (number, path) in Segment::list(dir).during("list the segments")? {
            log.next_number = number.saturating_add(1);
            log.take_in(number, path);
        }
        if let Err(error) = log.delete_condemned() {
            tracing::warn!(%error, "what is of no use in the disk cache stays for now");
        }
        log.make_room(0)?;
        Ok(log)
    }

    /// Deletes the log of a directory, and its key.
    pub(super) fn clear(dir: &Path) -> Result<(), BlockLogError> {
        if !dir.is_dir() {
            return Ok(());
        }
        let place = Place::take(dir)?;
        for (_, path) in Segment::list(dir).during("list the segments")? {
            std::fs::remove_file(path).during("delete a segment")?;
        }
        place.forget_key()
    }

    /// What keys the names of this log's blocks.
    pub(super) fn key(&self) -> [u8; 16] {
        self.key
    }

    pub(super) fn catalogue(&self) -> Catalogue {
        self.index.catalogue.clone()
    }

    pub(super) fn contains(&self, hash: ChainHash) -> bool {
        self.index.get(hash).is_some()
    }

    pub(super) fn num_blocks(&self) -> usize {
        self.index.len()
    }

    /// Bytes of all segments.
    pub(super) fn num_bytes(&self) -> u64 {
        self.segments.iter().map(Segment::len).fold(0, u64::saturating_add)
    }

    /// Blocks that could not be read back as they were written.
    pub(super) fn num_read_errors(&self) -> u64 {
        self.num_read_errors
    }

    /// Stores a block. False if the log has it, or is too small for it.
    pub(super) fn append(
        &mut self,
        label: BlockLabel,
        payload: &[u8],
    ) -> Result<bool, BlockLogError> {
        if self.contains(label.hash) {
            return Ok(false);
        }
        let (hash, parent, salt, owner) = (label.hash, label.parent, label.salt, label.owner);
        let sealed = self.sealer.as_ref().map(|sealer| sealer.seal(&label, payload));
        let (label, payload) = match &sealed {
            Some(sealed) => (BlockLabel { tokens: Box::default(), ..label }, &sealed[..]),
            None => (label, payload),
        };
        let head = Head::block(label, payload);
        let len = head.record_len();
        if len.saturating_add(SEGMENT_HEAD_LEN) > self.capacity_bytes {
            return Ok(false);
        }
        self.make_room(len)?;
        let (segment, offset) = self.append_record(&[&head.encode(), payload])?;
        let location = Location { segment, offset, len, parent, salt, owner, used_at: None };
        self.index.insert(hash, location);
        Ok(true)
    }

    /// Notes that a chain was used, so that it outlives what was not. Its beginning,
    /// without which the rest is worth nothing, counts as used last.
    pub(super) fn touch(&mut self, chain: &[ChainHash]) {
        chain.iter().rev().for_each(|&hash| self.index.touch(hash));
    }

    /// The blocks at the beginning of a chain, as far as they are here and sound.
    /// Neighbours are read at once, and one by one where that fails. A block that is not
    /// sound is gone afterwards.
    pub(super) fn read(&mut self, chain: &[ChainHash]) -> Vec<StoredBlock> {
        let found = chain.iter().map_while(|&hash| Some((hash, self.index.get(hash)?)));
        let found: Vec<_> = found.collect();
        let mut blocks = Vec::with_capacity(found.len());
        for run in found.chunk_by(|(_, a), (_, b)| a.segment == b.segment && a.end() == b.offset) {
            let whole = self.read_run(run);
            let mut rest = whole.as_deref().ok();
            for one in run.chunks(1) {
                let (hash, location) = one[0];
                let record = match &mut rest {
                    Some(rest) => {
                        let record = rest.split_off(..location.len as usize);
                        Ok(Cow::Borrowed(record.unwrap_or_default()))
                    }
                    // What is wrong with one is no fault of its neighbours.
                    None => self.read_run(one).map(Cow::Owned),
                };
                let sound = record.as_deref().ok().and_then(|record| sound_block(hash, record));
                let opened = sound.and_then(|block| match &self.sealer {
                    Some(sealer) => sealer.open(block),
                    None => Some(block),
                });
                let Some(block) = opened else {
                    self.lose(hash, location, record.err().as_ref());
                    return blocks;
                };
                blocks.push(block);
            }
        }
        self.touch(chain);
        blocks
    }

    /// The bytes of neighbouring records.
    fn read_run(&self, run: &[(ChainHash, Location)]) -> io::Result<Vec<u8>> {
        let (first, last) = (run[0].1, run[run.len() - 1].1);
        let segment = self.segment(first.segment).ok_or(io::ErrorKind::NotFound)?;
        segment.read(first.offset, (last.end() - first.offset) as usize)
    }

    /// Gives up a block that cannot be read.
    fn lose(&mut self, hash: ChainHash, location: Location, error: Option<&io::Error>) {
        let Location { segment, offset, .. } = location;
        tracing::warn!(segment, offset, ?error, "a block of the disk cache is damaged");
        self.num_read_errors += 1;
        self.index.remove(hash);
        // Without a name it could not be forgotten: if it cannot be overwritten now, it
        // goes with its segment.
        let unerased = self.erase_records(&[location]);
        self.condemn(&unerased);
        if let Err(error) = self.delete_condemned() {
            tracing::warn!(%error, "a segment that was given up stays for now");
        }
    }

    fn segment(&self, number: u64) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.number == number)
    }

    /// Writes a record into the last segment, or the first of a new one. The caller
    /// has made room.
    fn append_record(&mut self, parts: &[&[u8]]) -> Result<(u64, u64), BlockLogError> {
        let len: u64 = parts.iter().map(|part| part.len() as u64).sum();
        let segment_bytes = MAX_SEGMENT_BYTES.min(self.capacity_bytes / 8);
        let fits =
            |last: &Segment| last.is_empty() || last.len().saturating_add(len) <= segment_bytes;
        if !self.segments.back().is_some_and(fits) {
            let segment = Segment::create(&self.place.dir, self.next_number, self.identity);
            self.next_number = self.next_number.saturating_add(1);
            self.segments.push_back(segment.during("begin a segment")?);
        }
        let last = self.segments.back_mut().expect("there is one now");
        Ok((last.number, last.append(parts).during("write a block")?))
    }
}

/// The block that a record holds, as it is written, if it is the one of this name and whole.
fn sound_block(hash: ChainHash, record: &[u8]) -> Option<StoredBlock> {
    let head = Head::decode(record)?;
    let payload = &record[head.head_len()..];
    if !head.accepts(payload) {
        return None;
    }
    match head.record {
        Record::Block(label) if label.hash == hash => {
            Some(StoredBlock { label, payload: payload.to_vec() })
        }
        _ => None,
    }
}

/// What a segment says of what its records were written under.
fn digest(key: [u8; 16], identity: &str) -> [u8; 16] {
    let mut hasher = Sha256::new();
    hasher.update(key);
    hasher.update(FORMAT);
    hasher.update(identity);
    *hasher.finalize().first_chunk().expect("a SHA-256 digest has 32 bytes")
}

//! One file of the log: a head that says whose format and identity it is of, then
//! records.
//!
//! Invariant: `len` is the file's length, and everything before it is whole records,
//! live, forgotten or void. A failed append leaves no trace.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::record::Head;

/// Bytes before the first record.
pub(super) const SEGMENT_HEAD_LEN: u64 = 32;
const MAGIC: [u8; 16] = *b"dramatis kv log\n";
static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    path: PathBuf,
    file: File,
    len: u64,
}

impl Segment {
    /// An empty segment, for records under `identity`.
    pub(super) fn create(dir: &Path, number: u64, identity: [u8; 16]) -> io::Result<Self> {
        let path = dir.join(file_name(number));
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        Self { number, path, file, len: 0 }.begin(identity)
    }

    /// Writes the head; a file that cannot have one is removed, as nobody counts it.
    pub(super) fn begin(mut self, identity: [u8; 16]) -> io::Result<Self> {
        match self.append(&[&MAGIC, &identity]) {
            Ok(_) => Ok(self),
            Err(error) => {
                // What matters is why there is no segment.
                let _ = self.delete();
                Err(error)
            }
        }
    }

    /// A segment of an earlier process; `None` if it is not of this identity.
    pub(super) fn open(path: PathBuf, number: u64, identity: [u8; 16]) -> io::Result<Option<Self>> {
        let mut file = OpenOptions::new().read(true).write(true).open(&path)?;
        let len = file.metadata()?.len();
        let mut head = [0; SEGMENT_HEAD_LEN as usize];
        if len < SEGMENT_HEAD_LEN {
            return Ok(None);
        }
        file.read_exact(&mut head)?;
        let is_ours = head[..16] == MAGIC && head[16..] == identity;
        Ok(is_ours.then_some(Self { number, path, file, len }))
    }

    /// Paths and numbers of all segments in a directory, oldest first. Whatever bears
    /// another name is not ours to read or to delete.
    pub(super) fn list(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let number = entry.file_name().to_str().and_then(number_of);
            found.extend(number.map(|number| (number, entry.path())));
        }
        found.sort();
        Ok(found)
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has room for nothing but its head.
    pub(super) fn is_empty(&self) -> bool {
        self.len <= SEGMENT_HEAD_LEN
    }

    /// Writes the parts one after the other, and returns where they begin.
    pub(super) fn append(&mut self, parts: &[&[u8]]) -> io::Result<u64> {
        let start = self.len;
        let mut end = start;
        for part in parts {
            if let Err(error) = self.file.write_all_at(part, end) {
                // Half a record: a later scan would do the same.
                self.truncate(start)?;
                return Err(error);
            }
            end += part.len() as u64;
        }
        self.len = end;
        Ok(start)
    }

    pub(super) fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    /// Overwrites `len` bytes so that nothing of them is left in the file.
    ///
    /// The void's head comes last: until it stands, a scan finds a damaged record
    /// there and overwrites it again.
    pub(super) fn erase(&self, offset: u64, len: u64) -> io::Result<()> {
        let head = Head::void(len).map(|head| head.encode()).unwrap_or_default();
        let end = offset + len;
        let mut at = offset + head.len() as u64;
        while at < end {
            let part = (end - at).min(ZEROS.len() as u64);
            self.file.write_all_at(&ZEROS[..part as usize], at)?;
            at += part;
        }
        self.file.write_all_at(&head, offset)
    }

    pub(super) fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.file.set_len(len)?;
        self.len = len;
        Ok(())
    }

    /// Returns once everything written is on the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the file.
    pub(super) fn delete(&self) -> io::Result<()> {
        remove(&self.path)
    }

    /// As if the file were of this length.
    #[cfg(test)]
    pub(super) fn pretend_len(&mut self, len: u64) {
        self.len = len;
    }

    /// Lets every later write fail.
    #[cfg(test)]
    pub(super) fn refuse_writes(&mut self) {
        self.file = File::open(&self.path).expect("the file is there");
    }
}

/// Removes a segment's file; one that is gone already is as good.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn file_name(number: u64) -> String {
    format!("{number:012}.log")
}

/// The number of the segment that is called so, to the letter.
fn number_of(name: &str) -> Option<u64> {
    let number = name.strip_suffix(".log")?.parse().ok()?;
    (file_name(number) == name).then_some(number)
}

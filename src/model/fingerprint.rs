//! A cheap, stable hash of a file by samples.

use std::fs::File;
use std::io::{Read, Result, Seek, SeekFrom};
use std::path::Path;

use sha2::{Digest, Sha256};

const NUM_SAMPLES: u64 = 256;
const SAMPLE_BYTES: u64 = 4096;

/// Feeds `hasher` with the file's length, its first `header_bytes`, and evenly
/// spread samples; a file that is smaller than the samples is read whole.
pub(super) fn hash_file(hasher: &mut Sha256, path: &Path, header_bytes: u64) -> Result<()> {
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    hasher.update(len.to_le_bytes());
    let mut feed = |start: u64, bytes: u64| -> Result<()> {
        let mut part = Vec::with_capacity(bytes as usize);
        file.seek(SeekFrom::Start(start))?;
        (&mut file).take(bytes).read_to_end(&mut part)?;
        hasher.update(&part);
        Ok(())
    };
    if len <= header_bytes + NUM_SAMPLES * SAMPLE_BYTES {
        return feed(0, len);
    }
    feed(0, header_bytes)?;
    let stride = (len - header_bytes - SAMPLE_BYTES) / (NUM_SAMPLES - 1);
    (0..NUM_SAMPLES).try_for_each(|i| feed(header_bytes + i * stride, SAMPLE_BYTES))
}

/// The hash as 64 hexadecimal digits.
pub(super) fn finish(hasher: Sha256) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

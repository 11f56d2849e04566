//! The log on real files: round trips, damage, budget, forgetting, and a model test.

mod damage;
mod forgetting;
mod model;
mod sealing;

use std::collections::HashSet;
use std::fs;

use tempfile::TempDir;

use super::*;
use crate::engine::label::Scope;

const KEY: [u8; 16] = [9; 16];
/// Payload bytes of a usual block of these tests.
const PAYLOAD: usize = 1000;

fn open_as(dir: &Path, capacity_bytes: u64, identity: &str) -> BlockLog {
    let log = BlockLog::open(dir, capacity_bytes, identity, KEY, None).unwrap();
    check(&log);
    log
}

/// The same sealed, with a key of these bytes.
fn open_sealed(dir: &Path, capacity_bytes: u64, key: u8) -> BlockLog {
    let key = DiskCacheKey::new([key; 32]);
    let log = BlockLog::open(dir, capacity_bytes, "a model", KEY, Some(&key)).unwrap();
    check(&log);
    log
}

fn open(dir: &Path) -> BlockLog {
    open_as(dir, 1 << 20, "a model")
}

/// Whatever is true of a log at any time.
fn check(log: &BlockLog) {
    log.index.check();
    assert!(log.num_bytes() <= log.capacity_bytes, "over budget");
    let on_disk: u64 = log_files(&log.place.dir).iter().map(|f| f.metadata().unwrap().len()).sum();
    assert_eq!(log.num_bytes(), on_disk);
}

fn forty_blocks(dir: &Path) -> BlockLog {
    let mut log = open_as(dir, 200_000, "");
    (0..40).for_each(|n| assert!(append(&mut log, n)));
    assert!(log.segments.len() > 1);
    log
}

fn log_files(dir: &Path) -> Vec<PathBuf> {
    Segment::list(dir).unwrap().into_iter().map(|(_, path)| path).collect()
}

fn hash(n: u64) -> ChainHash {
    ChainHash(std::array::from_fn(|i| n.to_le_bytes()[i % 8]))
}

fn label(n: u64) -> BlockLabel {
    // Of the same salt and owner.
    let parent = n.checked_sub(15).map(hash);
    BlockLabel {
        hash: hash(n),
        parent,
        salt: n % 3,
        owner: 1 + n % 5,
        tokens: [n as u32, 7].into(),
    }
}

/// Bytes that occur nowhere else.
fn payload(n: u64) -> Vec<u8> {
    let word = |i: u64| (n * 1_000_003 + i).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
    (0..PAYLOAD as u64 / 8).flat_map(word).collect()
}

fn stored(n: u64) -> StoredBlock {
    StoredBlock { label: label(n), payload: payload(n) }
}

fn append(log: &mut BlockLog, n: u64) -> bool {
    let is_new = log.append(label(n), &payload(n)).unwrap();
    check(log);
    is_new
}

fn read(log: &mut BlockLog, ns: impl IntoIterator<Item = u64>) -> Vec<StoredBlock> {
    let chain: Vec<_> = ns.into_iter().map(hash).collect();
    let blocks = log.read(&chain);
    check(log);
    blocks
}

/// Which of the blocks a log has, as it says itself.
fn known(log: &BlockLog, ns: impl IntoIterator<Item = u64>) -> Vec<u64> {
    let catalogue = log.catalogue();
    ns.into_iter().filter(|&n| catalogue.contains(hash(n))).collect()
}

/// Whether any 16 bytes of the payload, cut at their places, are in any file.
fn is_on_disk(dir: &Path, payload: &[u8]) -> bool {
    let pieces: HashSet<&[u8]> = payload.chunks_exact(16).collect();
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let files = paths.filter(|path| path.is_file()).map(|path| fs::read(path).unwrap());
    files.into_iter().any(|file| file.windows(16).any(|window| pieces.contains(window)))
}

#[test]
fn a_block_comes_back_as_it_went_in_also_after_a_restart() {
    let dir = TempDir::new().unwrap();
    let mut log = open(dir.path());
    for n in 0..20 {
        assert!(append(&mut log, n));
    }
    assert!(!append(&mut log, 3), "it is there already");
    let all: Vec<_> = (0..20).map(stored).collect();
    assert_eq!(read(&mut log, 0..20), all);
    drop(log);
    let mut log = open(dir.path());
    assert_eq!(log.num_blocks(), 20);
    assert_eq!(read(&mut log, 0..20), all);
    assert_eq!(read(&mut log, [4, 2, 3, 19]), [4, 2, 3, 19].map(stored));
    assert_eq!(log.num_read_errors(), 0);
}

#[test]
fn a_chain_ends_where_a_block_is_missing() {
    let dir = TempDir::new().unwrap();
    let mut log = open(dir.path());
    for n in [0, 1, 3] {
        append(&mut log, n);
    }
    assert_eq!(read(&mut log, 0..4), [0, 1].map(stored));
    assert_eq!(read(&mut log, [2, 3]), []);
}

#[test]
fn another_identity_or_key_shares_nothing_and_what_was_there_goes() {
    let dir = TempDir::new().unwrap();
    append(&mut open(dir.path()), 1);
    let mut other = open_as(dir.path(), 1 << 20, "another model");
    assert_eq!(read(&mut other, [1]), []);
    assert_eq!(other.num_bytes(), 0);
    assert!(!is_on_disk(dir.path(), &payload(1)));
    append(&mut other, 1);
    drop(other);
    fs::write(dir.path().join("key"), [1; 16]).unwrap();
    let mut other = open_as(dir.path(), 1 << 20, "another model");
    assert_eq!((other.key(), read(&mut other, [1])), ([1; 16], vec![]));
}

#[test]
fn the_first_key_stays() {
    let dir = TempDir::new().unwrap();
    let key = |new| BlockLog::open(dir.path(), 1 << 20, "", new, None).unwrap().key();
    assert_eq!(key([1; 16]), [1; 16]);
    assert_eq!(key([2; 16]), [1; 16]);
    fs::write(dir.path().join("key"), [1; 15]).unwrap();
    assert_eq!(key([3; 16]), [3; 16], "half a key is none");
    assert_eq!(key([4; 16]), [3; 16]);
}

#[test]
fn clearing_leaves_nothing_and_respects_whoever_uses_it() {
    let dir = TempDir::new().unwrap();
    BlockLog::clear(&dir.path().join("none")).unwrap();
    assert!(!dir.path().join("none").exists());
    let mut log = open(dir.path());
    append(&mut log, 1);
    assert!(matches!(BlockLog::clear(dir.path()), Err(BlockLogError::Locked(_))));
    drop(log);
    BlockLog::clear(dir.path()).unwrap();
    assert!(log_files(dir.path()).is_empty() && !is_on_disk(dir.path(), &KEY));
}

#[test]
fn a_directory_is_free_at_once_also_where_programs_are_started_meanwhile() {
    let dir = TempDir::new().unwrap();
    let starts = std::thread::spawn(|| {
        for _ in 0..300 {
            assert!(std::process::Command::new("true").status().unwrap().success());
        }
    });
    while !starts.is_finished() {
        drop(open(dir.path()));
    }
    starts.join().unwrap();
}

#[test]
fn only_one_may_use_a_directory_and_only_its_owner_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let dir = TempDir::new().unwrap();
    let dir = dir.path().join("deep/kv-cache");
    let mut log = open(&dir);
    append(&mut log, 1);
    let second = BlockLog::open(&dir, 1 << 20, "a model", KEY, None);
    assert!(matches!(second, Err(BlockLogError::Locked(_))), "{second:?}");
    drop(log);
    assert_eq!(open(&dir).num_blocks(), 1);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    let files: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 3, "lock, key, a segment: {files:?}");
    files.iter().for_each(|file| assert_eq!(mode(file), 0o600, "{file:?}"));
}

#[test]
fn files_of_other_names_are_neither_read_nor_deleted() {
    let dir = TempDir::new().unwrap();
    append(&mut open(dir.path()), 1);
    let segment = fs::read(log_files(dir.path()).remove(0)).unwrap();
    let names = ["7.log", "+00000000007.log", "000000000007.LOG", "000000000007.log.log"];
    names.iter().for_each(|name| fs::write(dir.path().join(name), &segment).unwrap());
    let log = open(dir.path());
    assert_eq!((log.num_blocks(), log.next_number), (1, 1));
    drop(log);
    BlockLog::clear(dir.path()).unwrap();
    assert!(log_files(dir.path()).is_empty());
    assert!(names.iter().all(|name| dir.path().join(name).exists()));
}

#[test]
fn no_length_of_a_file_is_too_much_for_the_budget() {
    let dir = TempDir::new().unwrap();
    let mut log = forty_blocks(dir.path());
    log.segments.iter_mut().for_each(|segment| segment.pretend_len(u64::MAX - 100));
    assert_eq!(log.num_bytes(), u64::MAX);
    assert!(append(&mut log, 50));
    assert_eq!(known(&log, 0..60), [50]);
}

#[test]
fn the_budget_holds_and_what_is_used_outlives_what_is_not() {
    let dir = TempDir::new().unwrap();
    // Some 90 blocks, in segments of 11.
    let mut log = open_as(dir.path(), 100_000, "");
    let used: Vec<_> = (0..4).map(hash).collect();
    for n in 0..1000 {
        append(&mut log, n);
        if n % 20 == 19 {
            log.touch(&used);
        }
    }
    assert_eq!(read(&mut log, 0..4), [0, 1, 2, 3].map(stored));
    let left = known(&log, 4..1000);
    assert!(left.len() > 60, "{left:?}");
    assert_eq!(left, (1000 - left.len() as u64..1000).collect::<Vec<_>>(), "the latest stay");
    drop(log);
    // A smaller budget holds from the start.
    let log = open_as(dir.path(), 30_000, "");
    assert_eq!(known(&log, 990..1000), Vec::from_iter(990..1000));
    assert!(log.num_blocks() < 30);
}

#[test]
fn where_everything_is_used_something_goes_all_the_same() {
    let dir = TempDir::new().unwrap();
    let mut log = open_as(dir.path(), 100_000, "");
    for n in 0..500 {
        append(&mut log, n);
        log.touch(&(0..=n).map(hash).collect::<Vec<_>>());
    }
    assert!(log.num_blocks() > 40, "{}", log.num_blocks());
    assert!(known(&log, 490..500).len() == 10);
}

#[test]
fn what_can_never_fit_is_refused() {
    let dir = TempDir::new().unwrap();
    let mut log = open_as(dir.path(), 5000, "");
    append(&mut log, 1);
    assert!(!log.append(label(2), &[0; 5000]).unwrap());
    check(&log);
    assert_eq!(known(&log, 0..3), [1]);
    // One block to a segment.
    (3..9).for_each(|n| assert!(append(&mut log, n)));
    assert_eq!(known(&log, 0..9), [5, 6, 7, 8]);
}

//! Sealed blocks: theirs who have the key, and in the clear nowhere.

use super::*;

/// Of so many tokens that their numbers are found again.
fn wordy(n: u64) -> BlockLabel {
    BlockLabel { tokens: (0..32).map(|i| (n * 7919 + i * 104_729) as u32).collect(), ..label(n) }
}

fn token_bytes(n: u64) -> Vec<u8> {
    wordy(n).tokens.iter().flat_map(|token| token.to_le_bytes()).collect()
}

fn append_wordy(log: &mut BlockLog, ns: impl IntoIterator<Item = u64>) {
    ns.into_iter().for_each(|n| assert!(log.append(wordy(n), &payload(n)).unwrap()));
    check(log);
}

fn wordy_stored(n: u64) -> StoredBlock {
    StoredBlock { label: wordy(n), payload: payload(n) }
}

/// Whether the files hold tokens, at any place, or keys and values of the block.
fn can_be_read(dir: &Path, n: u64) -> bool {
    let tokens = token_bytes(n);
    let mut files = log_files(dir).into_iter().map(|path| fs::read(path).unwrap());
    is_on_disk(dir, &payload(n)) || files.any(|file| file.windows(16).any(|w| *w == tokens[..16]))
}

#[test]
fn sealed_blocks_come_back_with_their_key_and_are_in_no_file() {
    let dir = TempDir::new().unwrap();
    let mut log = open(dir.path());
    append_wordy(&mut log, 0..2);
    assert!(can_be_read(dir.path(), 0) && can_be_read(dir.path(), 1), "in the clear they can");
    drop(log);
    let mut log = open_sealed(dir.path(), 1 << 20, 1);
    assert_eq!(log.num_blocks(), 0, "what was in the clear goes");
    append_wordy(&mut log, 0..20);
    assert!((0..20).all(|n| !can_be_read(dir.path(), n)));
    let names = log.key();
    assert!(names != KEY && !is_on_disk(dir.path(), &names), "nor is what keys their names");
    let all: Vec<_> = (0..20).map(wordy_stored).collect();
    assert_eq!(read(&mut log, 0..20), all);
    drop(log);
    let mut log = open_sealed(dir.path(), 1 << 20, 1);
    assert_eq!(read(&mut log, 0..20), all);
    assert_eq!((log.key(), log.num_read_errors()), (names, 0));
    drop(log);
    // Whoever has another key begins anew, and so does who has none.
    let mut other = open_sealed(dir.path(), 1 << 20, 2);
    assert_eq!((other.num_blocks(), other.num_bytes()), (0, 0));
    append_wordy(&mut other, [3]);
    drop(other);
    assert_eq!(open(dir.path()).num_bytes(), 0);
}

#[test]
fn two_directories_with_one_key_have_nothing_in_common() {
    let (one, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    fs::write(other.path().join("key"), [8; 16]).unwrap();
    assert_ne!(
        open_sealed(one.path(), 1 << 20, 1).key(),
        open_sealed(other.path(), 1 << 20, 1).key()
    );
}

#[test]
fn a_block_that_does_not_open_is_lost_like_a_damaged_one() {
    let dir = TempDir::new().unwrap();
    let mut log = open_sealed(dir.path(), 1 << 20, 1);
    append_wordy(&mut log, [0]);
    // Whole by its sums, but sealed with another key.
    let (other, _) = Sealer::new(&DiskCacheKey::new([2; 32]), KEY);
    let own = log.sealer.replace(other);
    append_wordy(&mut log, [1]);
    log.sealer = own;
    append_wordy(&mut log, [2]);
    assert_eq!(read(&mut log, 0..3), [wordy_stored(0)]);
    assert_eq!((log.num_read_errors(), known(&log, 0..3)), (1, vec![0, 2]));
    append_wordy(&mut log, [1]);
    assert_eq!(read(&mut log, 0..3), [0, 1, 2].map(wordy_stored));
}

#[test]
fn a_sealed_block_passes_for_no_other() {
    let (sealer, _) = Sealer::new(&DiskCacheKey::new([1; 32]), KEY);
    let sealed = sealer.seal(&wordy(1), &payload(1));
    assert_ne!(sealed, sealer.seal(&wordy(1), &payload(1)), "a fresh nonce each time");
    // As it is read: the tokens are behind the seal.
    let bare = BlockLabel { tokens: Box::default(), ..wordy(1) };
    let open = |label: &BlockLabel, payload: &[u8]| {
        sealer.open(StoredBlock { label: label.clone(), payload: payload.to_vec() })
    };
    assert_eq!(open(&bare, &sealed), Some(wordy_stored(1)));
    for label in [
        BlockLabel { hash: hash(2), ..bare.clone() },
        BlockLabel { parent: Some(hash(2)), ..bare.clone() },
        BlockLabel { salt: 9, ..bare.clone() },
        BlockLabel { owner: 9, ..bare.clone() },
    ] {
        assert_eq!(open(&label, &sealed), None, "{label:?}");
    }
    for len in [0, 5, 12, 28, sealed.len() - 1] {
        assert_eq!(open(&bare, &sealed[..len]), None, "{len} bytes");
    }
    for at in [0, PAYLOAD, sealed.len() - 20, sealed.len() - 1] {
        let mut damaged = sealed.clone();
        damaged[at] ^= 1;
        assert_eq!(open(&bare, &damaged), None, "byte {at}");
    }
}

#[test]
fn what_is_used_outlives_its_segment_sealed() {
    let dir = TempDir::new().unwrap();
    let mut log = open_sealed(dir.path(), 100_000, 1);
    let used: Vec<_> = (0..4).map(hash).collect();
    for n in 0..300 {
        append_wordy(&mut log, [n]);
        if n % 20 == 19 {
            log.touch(&used);
        }
    }
    assert_eq!(read(&mut log, 0..4), [0, 1, 2, 3].map(wordy_stored));
}

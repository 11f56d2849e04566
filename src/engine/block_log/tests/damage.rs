//! Torn tails and flipped bits: something may be lost, nothing is ever wrong.

use super::*;

/// A log of three blocks, closed; and where its only segment lies.
fn three_blocks(dir: &Path) -> PathBuf {
    let mut log = open(dir);
    (0..3).for_each(|n| assert!(append(&mut log, n)));
    log_files(dir).pop().unwrap()
}

fn record_len() -> usize {
    Head::block(label(0), &payload(0)).record_len() as usize
}

#[test]
fn a_tail_torn_at_any_byte_costs_the_last_record_only() {
    let dir = TempDir::new().unwrap();
    let file = three_blocks(dir.path());
    let whole = fs::read(&file).unwrap();
    for len in whole.len() - record_len()..whole.len() {
        fs::write(&file, &whole[..len]).unwrap();
        let mut log = open(dir.path());
        assert_eq!(known(&log, 0..3), [0, 1], "torn at {len}");
        assert_eq!(log.num_bytes() as usize, whole.len() - record_len());
        assert!(append(&mut log, 2));
        assert_eq!(read(&mut log, 0..3), [0, 1, 2].map(stored));
    }
    assert_eq!(fs::read(&file).unwrap(), whole);
}

#[test]
fn a_flipped_bit_anywhere_costs_one_block_and_leaves_nothing_of_it() {
    let dir = TempDir::new().unwrap();
    let file = three_blocks(dir.path());
    let whole = fs::read(&file).unwrap();
    let second = SEGMENT_HEAD_LEN as usize + record_len();
    // Every byte of the head, some of the payload; another bit each time.
    let payload_start = second + record_len() - PAYLOAD;
    for at in (second..payload_start).chain((payload_start..second + record_len()).step_by(37)) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (at % 8);
        fs::write(&file, &damaged).unwrap();
        let mut log = open(dir.path());
        let in_head = at < payload_start;
        assert_eq!(known(&log, 0..3).len(), if in_head { 2 } else { 3 });
        assert_eq!(read(&mut log, 0..3), [stored(0)], "flipped at {at}");
        assert_eq!(read(&mut log, [2]), [stored(2)], "flipped at {at}");
        assert_eq!(log.num_read_errors(), u64::from(!in_head));
        assert!(!is_on_disk(dir.path(), &payload(1)));
        assert!(append(&mut log, 1), "it can be written again");
        assert_eq!(read(&mut log, 0..3), [0, 1, 2].map(stored));
        drop(log);
        assert_eq!(read(&mut open(dir.path()), 0..3), [0, 1, 2].map(stored));
    }
}

#[test]
fn two_damaged_neighbours_are_passed_together() {
    let dir = TempDir::new().unwrap();
    let file = three_blocks(dir.path());
    let mut bytes = fs::read(&file).unwrap();
    for record in 0..2 {
        bytes[SEGMENT_HEAD_LEN as usize + record * record_len() + 12] ^= 0x80;
    }
    fs::write(&file, &bytes).unwrap();
    let mut log = open(dir.path());
    assert_eq!(read(&mut log, [2]), [stored(2)]);
    assert!(!is_on_disk(dir.path(), &payload(0)) && !is_on_disk(dir.path(), &payload(1)));
    // What was mended is not damaged any more.
    let segment = log.segments.back().unwrap();
    assert!(scan::scan(segment).unwrap().damaged.is_empty());
}

#[test]
fn a_damaged_segment_head_costs_the_segment() {
    let dir = TempDir::new().unwrap();
    let file = three_blocks(dir.path());
    let mut bytes = fs::read(&file).unwrap();
    bytes[20] ^= 1;
    fs::write(&file, &bytes).unwrap();
    let mut log = open(dir.path());
    assert_eq!(log.num_blocks(), 0);
    assert!(append(&mut log, 0));
    drop(log);
    let file = log_files(dir.path()).pop().unwrap();
    fs::write(&file, b"dra").unwrap();
    assert_eq!(open(dir.path()).num_bytes(), 0);
}

#[test]
fn a_segment_without_a_head_leaves_no_file() {
    let dir = TempDir::new().unwrap();
    let mut segment = Segment::create(dir.path(), 1, [0; 16]).unwrap();
    segment.truncate(0).unwrap();
    segment.refuse_writes();
    assert!(segment.begin([0; 16]).is_err());
    assert!(log_files(dir.path()).is_empty());
}

#[test]
fn a_payload_does_not_pass_for_another_block() {
    let dir = TempDir::new().unwrap();
    let file = three_blocks(dir.path());
    let mut bytes = fs::read(&file).unwrap();
    let payload_at = |n: usize| SEGMENT_HEAD_LEN as usize + (n + 1) * record_len() - PAYLOAD;
    bytes.copy_within(payload_at(0)..payload_at(0) + PAYLOAD, payload_at(1));
    fs::write(&file, &bytes).unwrap();
    assert_eq!(read(&mut open(dir.path()), [1]), []);
}

#[test]
fn a_file_that_is_gone_under_the_log_is_an_error_counted() {
    let dir = TempDir::new().unwrap();
    let mut log = open(dir.path());
    (0..3).for_each(|n| assert!(append(&mut log, n)));
    let segment = log.segments.back_mut().unwrap();
    segment.truncate(SEGMENT_HEAD_LEN + 5).unwrap();
    assert_eq!(log.read(&[hash(0)]), []);
    assert_eq!(log.num_read_errors(), 1);
    assert!(!log.catalogue().contains(hash(0)));
}

#[test]
fn where_neighbours_cannot_be_read_at_once_those_that_can_come_back() {
    let dir = TempDir::new().unwrap();
    let mut log = open(dir.path());
    (0..4).for_each(|n| assert!(append(&mut log, n)));
    let segment = log.segments.back_mut().unwrap();
    segment.truncate(segment.len() - record_len() as u64 - 1).unwrap();
    assert_eq!(log.read(&[0, 1, 2, 3].map(hash)), [0, 1].map(stored));
    assert_eq!(log.num_read_errors(), 1);
    assert_eq!(known(&log, 0..4), [0, 1, 3], "nobody asked further");
}

/// Three blocks in a segment, and three more in the one after the next.
fn two_segments(dir: &Path) -> PathBuf {
    let mut log = open_as(dir, 30_000, "");
    (0..6).for_each(|n| assert!(append(&mut log, n)));
    assert_eq!(log.segments.len(), 2);
    drop(log);
    let last = log_files(dir).pop().unwrap();
    let between = last.clone();
    fs::rename(last, dir.join("000000000007.log")).unwrap();
    between
}

#[test]
fn a_segment_that_cannot_be_opened_goes_alone() {
    let dir = TempDir::new().unwrap();
    let between = two_segments(dir.path());
    std::os::unix::fs::symlink("nowhere", &between).unwrap();
    let log = open_as(dir.path(), 30_000, "");
    assert_eq!(known(&log, 0..6), Vec::from_iter(0..6));
    assert!(between.symlink_metadata().is_err(), "it is deleted");
}

#[test]
fn what_can_neither_be_read_nor_deleted_turns_nothing_off_but_forgets_nothing() {
    let dir = TempDir::new().unwrap();
    let between = two_segments(dir.path());
    fs::create_dir(&between).unwrap();
    let mut log = BlockLog::open(dir.path(), 30_000, "", KEY, None).unwrap();
    assert_eq!(known(&log, 0..6), Vec::from_iter(0..6));
    // Nobody knows what is in it.
    assert!(matches!(log.forget(Scope::Owner(9)), Err(BlockLogError::Io { .. })));
    assert!(matches!(log.forget(Scope::Owner(2)), Err(BlockLogError::Io { .. })));
    assert!(!is_on_disk(dir.path(), &payload(1)), "what is known is overwritten");
    fs::remove_dir(&between).unwrap();
    log.forget(Scope::Owner(2)).unwrap();
    check(&log);
}

#[test]
fn a_segment_whose_forgotten_blocks_cannot_be_overwritten_at_the_start_goes() {
    let dir = TempDir::new().unwrap();
    let mut log = forty_blocks(dir.path());
    let first = &mut log.segments[0];
    let number = first.number;
    first.refuse_writes();
    let mut later = Segment::create(dir.path(), 100, log.identity).unwrap();
    later.append(&[&Head::forget(Scope::Owner(2)).encode()]).unwrap();
    log.take_in(100, later.path().to_owned());
    log.delete_condemned().unwrap();
    check(&log);
    assert!(log.segment(number).is_none() && known(&log, 0..3).is_empty());
    assert!((0..40).filter(|n| n % 5 == 1).all(|n| !is_on_disk(dir.path(), &payload(n))));
    assert_eq!(known(&log, [35, 36, 37]), [35, 37]);
}

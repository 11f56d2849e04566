//! What is forgotten is not found again, by nobody, and nothing of it is left.

use super::record::FIXED_LEN;
use super::*;

fn of_owner(owner: u64) -> impl Iterator<Item = u64> {
    (0..40).filter(move |n| 1 + n % 5 == owner)
}

#[test]
fn an_owners_blocks_are_gone_at_once_from_every_file_and_after_a_restart() {
    let dir = TempDir::new().unwrap();
    let mut log = forty_blocks(dir.path());
    assert!(of_owner(2).all(|n| is_on_disk(dir.path(), &payload(n))));
    log.forget(Scope::Owner(2)).unwrap();
    check(&log);
    assert_eq!(known(&log, 0..40), (0..40).filter(|n| n % 5 != 1).collect::<Vec<_>>());
    assert!(of_owner(2).all(|n| !is_on_disk(dir.path(), &payload(n))));
    // Should the overwriting be lost with the power, this is not.
    let records = log.segments.iter().flat_map(|segment| scan::scan(segment).unwrap().records);
    let tombstone = Record::Forget(Scope::Owner(2));
    assert!(records.into_iter().any(|(_, head)| head.record == tombstone));
    assert!(of_owner(3).all(|n| is_on_disk(dir.path(), &payload(n))));
    drop(log);
    let mut log = open_as(dir.path(), 200_000, "");
    assert_eq!(log.num_blocks(), 32);
    assert_eq!(read(&mut log, [0, 2, 3, 4]), [0, 2, 3, 4].map(stored));
    assert!(append(&mut log, 1), "what comes later is kept");
    drop(log);
    assert_eq!(known(&open_as(dir.path(), 200_000, ""), [1]), [1]);
}

#[test]
fn a_salts_blocks_too() {
    let dir = TempDir::new().unwrap();
    let mut log = forty_blocks(dir.path());
    log.forget(Scope::Salt(1)).unwrap();
    check(&log);
    assert_eq!(known(&log, 0..40), (0..40).filter(|n| n % 3 != 1).collect::<Vec<_>>());
    assert!((0..40).all(|n| is_on_disk(dir.path(), &payload(n)) == (n % 3 != 1)));
}

#[test]
fn a_tombstone_alone_suffices_when_the_process_ends_before_overwriting() {
    let dir = TempDir::new().unwrap();
    let mut log = forty_blocks(dir.path());
    log.append_tombstone(Scope::Owner(2)).unwrap();
    drop(log);
    let log = open_as(dir.path(), 200_000, "");
    assert!(known(&log, of_owner(2)).is_empty());
    assert_eq!(log.num_blocks(), 32);
    assert!(of_owner(2).all(|n| !is_on_disk(dir.path(), &payload(n))));
}

#[test]
fn an_overwrite_that_stops_half_way_is_finished_at_the_next_start() {
    let dir = TempDir::new().unwrap();
    let log = forty_blocks(dir.path());
    let location = log.index.get(hash(1)).unwrap();
    let segment = log.segment(location.segment).unwrap();
    let file = dir.path().join(format!("{:012}.log", segment.number));
    let mut bytes = fs::read(&file).unwrap();
    drop(log);
    // The payload is half overwritten, the head stands no more.
    let start = location.offset as usize;
    bytes[start + FIXED_LEN..start + FIXED_LEN + PAYLOAD / 2].fill(0);
    fs::write(&file, &bytes).unwrap();
    let log = open_as(dir.path(), 200_000, "");
    assert_eq!(known(&log, 0..3), [0, 2]);
    assert!(!is_on_disk(dir.path(), &payload(1)));
}

#[test]
fn segments_that_hold_nothing_any_more_are_deleted() {
    let dir = TempDir::new().unwrap();
    let mut log = forty_blocks(dir.path());
    for owner in 1..6 {
        log.forget(Scope::Owner(owner)).unwrap();
        check(&log);
    }
    assert_eq!((log.num_blocks(), log.num_bytes()), (0, 0));
    assert!(append(&mut log, 1));
}

#[test]
fn where_nothing_can_be_overwritten_segments_go_as_a_whole() {
    let dir = TempDir::new().unwrap();
    let mut log = forty_blocks(dir.path());
    log.segments.iter_mut().for_each(Segment::refuse_writes);
    log.forget(Scope::Owner(2)).unwrap();
    check(&log);
    assert!(of_owner(2).all(|n| !is_on_disk(dir.path(), &payload(n))));
    assert!(known(&log, of_owner(2)).is_empty());
}

#[test]
fn where_no_tombstone_can_be_written_only_what_is_meant_is_overwritten() {
    let dir = TempDir::new().unwrap();
    let mut log = forty_blocks(dir.path());
    let mut last = Segment::create(dir.path(), log.next_number, log.identity).unwrap();
    last.refuse_writes();
    log.segments.push_back(last);
    log.forget(Scope::Owner(2)).unwrap();
    check(&log);
    assert_eq!(known(&log, 0..40), (0..40).filter(|n| n % 5 != 1).collect::<Vec<_>>());
    assert!((0..40).all(|n| is_on_disk(dir.path(), &payload(n)) == (n % 5 != 1)));
}

#[test]
fn a_damaged_block_that_cannot_be_overwritten_goes_with_its_segment() {
    let dir = TempDir::new().unwrap();
    let mut log = forty_blocks(dir.path());
    let first = &mut log.segments[0];
    first.erase(SEGMENT_HEAD_LEN, 100).unwrap();
    first.refuse_writes();
    assert_eq!(read(&mut log, [0]), []);
    assert!(!is_on_disk(dir.path(), &payload(0)) && is_on_disk(dir.path(), &payload(39)));
}

#[test]
fn what_could_not_be_forgotten_is_tried_again() {
    let dir = TempDir::new().unwrap();
    let mut log = forty_blocks(dir.path());
    log.segments.iter_mut().for_each(Segment::refuse_writes);
    // A directory stands where the first file was: it cannot be deleted as one.
    let file = log_files(dir.path()).remove(0);
    fs::rename(&file, dir.path().join("elsewhere")).unwrap();
    fs::create_dir(&file).unwrap();
    assert!(matches!(log.forget(Scope::Owner(2)), Err(BlockLogError::Io { .. })));
    fs::remove_dir(&file).unwrap();
    fs::rename(dir.path().join("elsewhere"), &file).unwrap();
    log.forget(Scope::Owner(2)).unwrap();
    check(&log);
    assert!(of_owner(2).all(|n| !is_on_disk(dir.path(), &payload(n))));
}

#[test]
fn where_the_log_is_full_forgetting_still_works() {
    let dir = TempDir::new().unwrap();
    let mut log = open_as(dir.path(), 20_000, "");
    (0..200).for_each(|n| assert!(append(&mut log, n)));
    log.forget(Scope::Owner(4)).unwrap();
    check(&log);
    assert!((0..200).filter(|n| n % 5 == 3).all(|n| !is_on_disk(dir.path(), &payload(n))));
    assert!(log.num_blocks() > 5);
}

/// Forty blocks, and two more that continue the one of owner 2, for others.
fn with_heirs(dir: &Path) -> BlockLog {
    let mut log = forty_blocks(dir);
    for (n, parent, owner) in [(101, 1, 3), (102, 101, 4)] {
        let label = BlockLabel { parent: Some(hash(parent)), owner, ..label(n) };
        assert!(log.append(label, &payload(n)).unwrap());
    }
    log
}

#[test]
fn what_continues_the_forgotten_goes_whosever_it_is() {
    let dir = TempDir::new().unwrap();
    let mut log = with_heirs(dir.path());
    log.forget(Scope::Owner(2)).unwrap();
    check(&log);
    assert_eq!(known(&log, 0..110), (0..40).filter(|n| n % 5 != 1).collect::<Vec<_>>());
    assert!([1, 101, 102].iter().all(|&n| !is_on_disk(dir.path(), &payload(n))));
}

#[test]
fn heirs_go_at_the_next_start_wherever_the_overwriting_ended() {
    // Eight of the owner, two of others.
    for num_erased in 0..=10 {
        let dir = TempDir::new().unwrap();
        let mut log = with_heirs(dir.path());
        let places: Vec<_> =
            log.index.take_scope(Scope::Owner(2)).into_iter().map(|e| e.1).collect();
        log.append_tombstone(Scope::Owner(2)).unwrap();
        assert!(log.erase_records(&places[..num_erased]).is_empty());
        drop(log);
        let log = open_as(dir.path(), 200_000, "");
        assert_eq!(log.num_blocks(), 32);
        assert!([1, 101, 102].iter().all(|&n| !is_on_disk(dir.path(), &payload(n))));
    }
}

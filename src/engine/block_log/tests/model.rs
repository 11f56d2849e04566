//! The log against a map of everything that was ever written.

use std::collections::HashMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Op {
    Append(u64),
    Read(Vec<u64>),
    Touch(u64),
    Forget(Scope),
    Reopen,
    /// The process ends in the middle of a write: so many bytes are missing.
    Tear(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let n = || 0..30u64;
    prop_oneof![
        8 => n().prop_map(Op::Append),
        4 => vec(n(), 1..6).prop_map(Op::Read),
        2 => n().prop_map(Op::Touch),
        1 => (0..6u64).prop_map(|owner| Op::Forget(Scope::Owner(owner))),
        1 => (0..3u64).prop_map(|salt| Op::Forget(Scope::Salt(salt))),
        1 => Just(Op::Reopen),
        1 => (1..3000u64).prop_map(Op::Tear),
    ]
}

/// Applies one operation; `written` is what a log without a budget would hold.
fn apply(
    op: &Op,
    log: &mut Option<BlockLog>,
    written: &mut HashMap<u64, StoredBlock>,
    open: &impl Fn() -> BlockLog,
) {
    let now = log.as_mut().unwrap();
    match op {
        Op::Append(n) => {
            let was_there = !known(now, [*n]).is_empty();
            assert_eq!(append(now, *n), !was_there);
            written.insert(*n, stored(*n));
            assert_eq!(known(now, [*n]), [*n], "the latest is there");
        }
        Op::Read(ns) => {
            let promised: Vec<_> =
                ns.iter().take_while(|n| !known(now, [**n]).is_empty()).collect();
            let found = read(now, ns.iter().copied());
            assert_eq!(found.len(), promised.len());
            for (block, n) in found.iter().zip(ns) {
                assert_eq!(Some(block), written.get(n));
            }
        }
        Op::Touch(n) => now.touch(&[hash(*n)]),
        Op::Forget(scope) => {
            now.forget(*scope).unwrap();
            written.retain(|_, block| !scope.covers(block.label.salt, block.label.owner));
        }
        Op::Reopen => {
            let before = known(now, 0..30);
            drop(log.take());
            assert_eq!(known(log.insert(open()), 0..30), before);
        }
        Op::Tear(num_bytes) => {
            let dir = now.place.dir.clone();
            drop(log.take());
            if let Some(last) = log_files(&dir).last() {
                let bytes = fs::read(last).unwrap();
                let left = bytes.len().saturating_sub(*num_bytes as usize);
                fs::write(last, &bytes[..left]).unwrap();
            }
            *log = Some(open());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_log_never_holds_what_was_not_written_or_was_forgotten(
        ops in vec(op(), 0..80),
        is_sealed in any::<bool>(),
    ) {
        let dir = TempDir::new().unwrap();
        let open = || match is_sealed {
            true => open_sealed(dir.path(), 15_000, 1),
            false => open_as(dir.path(), 15_000, ""),
        };
        let mut log = Some(open());
        let mut written = HashMap::new();
        for op in &ops {
            apply(op, &mut log, &mut written, &open);
            let log = log.as_ref().unwrap();
            check(log);
            let held = known(log, 0..30);
            prop_assert!(held.iter().all(|n| written.contains_key(n)));
            prop_assert_eq!(held.len(), log.num_blocks());
        }
        let mut log = log.unwrap();
        for n in known(&log, 0..30) {
            prop_assert_eq!(read(&mut log, [n]), [stored(n)]);
        }
        for n in (0..30).filter(|n| !written.contains_key(n)) {
            prop_assert!(!is_on_disk(dir.path(), &payload(n)));
        }
    }
}

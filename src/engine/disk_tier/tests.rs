//! The desk without a thread: whoever waits for one hears of its end.

use tokio::sync::oneshot;

use super::desk::{Desk, Job};
use super::*;

#[test]
fn whoever_wants_something_forgotten_hears_when_the_disks_thread_ends() {
    let desk = Desk::default();
    let receipts = [1, 2].map(|owner| {
        let (done, receipt) = oneshot::channel();
        desk.forget(Forgotten { scope: Scope::Owner(owner), done });
        receipt
    });
    // It ends at the first of them.
    assert!(matches!(desk.next(), Some(Job::Forget(Scope::Owner(1)))));
    desk.abandon();
    for receipt in receipts {
        assert_eq!(receipt.blocking_recv().unwrap().unwrap_err().kind(), "disk_cache");
    }
}

//! A pool of threads for work of microseconds: idle threads spin for a moment before
//! they sleep, and whoever comes late is not waited for.
//!
//! Invariant: [`ThreadPool::run`] returns when every unit is done, and no thread
//! touches a job after that.

use std::any::Any;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::simd::Isa;

/// How long an idle thread looks for work before it sleeps. A step of a model has
/// hundreds of jobs a few microseconds apart; beyond them, spinning would only take
/// time from everybody else.
const SPIN: Duration = Duration::from_micros(60);

/// Threads that share the units of one job at a time. The thread that asks works too.
#[derive(Debug)]
pub(crate) struct ThreadPool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    /// One job at a time.
    turn: Mutex<()>,
}

/// What computes: threads, and the instructions they use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Compute<'a> {
    pub(crate) pool: &'a ThreadPool,
    pub(crate) isa: Isa,
}

type Job<'a> = &'a (dyn Fn(usize) + Sync);

#[derive(Debug, Default)]
struct Shared {
    /// Which job this is, how many units it has, and which is next, in one word, so
    /// that no unit can be claimed of a job that is over: see [`Tickets`].
    tickets: AtomicU64,
    num_done: AtomicUsize,
    /// The job: a pointer to a [`Job`] on the stack of [`ThreadPool::run`].
    job: AtomicPtr<()>,
    num_sleeping: AtomicUsize,
    sleep: Mutex<()>,
    wake: Condvar,
    stop: AtomicBool,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

/// The parts of the ticket word: 16 bits of job number, 24 of units, 24 of the next.
struct Tickets(u64);

const UNIT_BITS: u32 = 24;
const UNIT_MASK: u64 = (1 << UNIT_BITS) - 1;

impl Tickets {
    fn new(job: u64, num_units: usize) -> Self {
        let num_units = num_units as u64;
        assert!(num_units < UNIT_MASK / 2, "a job has at most {} units", UNIT_MASK / 2);
        Self((job & 0xffff) << (2 * UNIT_BITS) | num_units << UNIT_BITS)
    }

    fn job(&self) -> u64 {
        self.0 >> (2 * UNIT_BITS)
    }

    /// The next unit, if there is one left.
    fn next(&self) -> Option<usize> {
        let (num_units, next) = ((self.0 >> UNIT_BITS) & UNIT_MASK, self.0 & UNIT_MASK);
        (next < num_units).then_some(next as usize)
    }
}

impl ThreadPool {
    /// A pool in which `num_threads` work, the caller among them.
    pub(crate) fn new(num_threads: NonZeroUsize) -> Self {
        let shared = Arc::new(Shared::default());
        let spawn = |index: usize| {
            let shared = Arc::clone(&shared);
            let name = format!("compute-{index}");
            // Fewer threads than asked for are slower, not wrong.
            thread::Builder::new().name(name).spawn(move || shared.serve()).ok()
        };
        let threads = (1..num_threads.get()).filter_map(spawn).collect();
        Self { shared, threads, turn: Mutex::new(()) }
    }

    /// Threads that work on a job.
    pub(crate) fn num_threads(&self) -> usize {
        self.threads.len() + 1
    }

    /// Calls `unit` once with every number below `num_units`, on all threads, and
    /// returns when all calls have.
    ///
    /// # Panics
    /// With the first panic of a unit.
    pub(crate) fn run(&self, num_units: usize, unit: impl Fn(usize) + Sync) {
        if num_units <= 1 || self.threads.is_empty() {
            return (0..num_units).for_each(unit);
        }
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = &*self.shared;
        let job: Job<'_> = &unit;
        shared.num_done.store(0, Ordering::Relaxed);
        shared.job.store((&raw const job).cast_mut().cast(), Ordering::Relaxed);
        let number = Tickets(shared.tickets.load(Ordering::Relaxed)).job() + 1;
        // Whoever claims a unit sees the job.
        shared.tickets.store(Tickets::new(number, num_units).0, Ordering::SeqCst);
        if shared.num_sleeping.load(Ordering::SeqCst) > 0 {
            let _sleep = shared.sleep.lock().unwrap_or_else(PoisonError::into_inner);
            shared.wake.notify_all();
        }
        shared.work();
        let mut spins = 0u32;
        while shared.num_done.load(Ordering::Acquire) < num_units {
            spins += 1;
            if spins.is_multiple_of(4096) { thread::yield_now() } else { std::hint::spin_loop() }
        }
        let panic = shared.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }
}

impl Drop for ThreadPool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        drop(self.shared.sleep.lock().unwrap_or_else(PoisonError::into_inner));
        self.shared.wake.notify_all();
        for thread in self.threads.drain(..) {
            // Units' panics are caught; there is nothing to hear here.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Takes units until none is left.
    fn work(&self) {
        while self.has_units() {
            let claimed = Tickets(self.tickets.fetch_add(1, Ordering::SeqCst));
            let Some(index) = claimed.next() else { return };
            let job = self.job.load(Ordering::Relaxed).cast::<Job<'_>>();
            // SAFETY: a unit of this job was claimed and is not done, so `run` still
            // waits and the job it keeps on its stack is there. The claim read the
            // tickets that were published after the job.
            let unit = unsafe { *job };
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| unit(index))) {
                let mut first = self.panic.lock().unwrap_or_else(PoisonError::into_inner);
                first.get_or_insert(panic);
            }
            self.num_done.fetch_add(1, Ordering::Release);
        }
    }

    fn has_units(&self) -> bool {
        Tickets(self.tickets.load(Ordering::SeqCst)).next().is_some()
    }

    /// A thread's life.
    fn serve(&self) {
        while !self.stop.load(Ordering::SeqCst) {
            self.work();
            let idle_since = Instant::now();
            while !self.has_units() && !self.stop.load(Ordering::Relaxed) {
                if idle_since.elapsed() > SPIN {
                    self.sleep();
                    break;
                }
                (0..32).for_each(|_| std::hint::spin_loop());
            }
        }
    }

    fn sleep(&self) {
        let mut guard = self.sleep.lock().unwrap_or_else(PoisonError::into_inner);
        self.num_sleeping.fetch_add(1, Ordering::SeqCst);
        // A job that is published after this look finds a sleeper, and wakes it.
        while !self.has_units() && !self.stop.load(Ordering::SeqCst) {
            guard = self.wake.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        self.num_sleeping.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(num_threads: usize) -> ThreadPool {
        ThreadPool::new(NonZeroUsize::new(num_threads).unwrap())
    }

    #[test]
    fn every_unit_is_done_once_before_a_job_returns() {
        for num_threads in [1, 2, 5] {
            let pool = pool(num_threads);
            for job in 0..2000usize {
                let num_units = job % 37;
                let counts: Vec<_> = (0..num_units).map(|_| AtomicUsize::new(0)).collect();
                pool.run(num_units, |unit| {
                    counts[unit].fetch_add(1, Ordering::Relaxed);
                });
                let counts: Vec<_> = counts.into_iter().map(AtomicUsize::into_inner).collect();
                assert_eq!(counts, vec![1; num_units], "job {job} on {num_threads} threads");
                if job.is_multiple_of(500) {
                    // Long enough for all to fall asleep.
                    thread::sleep(SPIN * 20);
                }
            }
        }
    }

    #[test]
    fn a_panic_in_any_unit_reaches_the_caller_and_leaves_the_pool_whole() {
        let pool = pool(3);
        for bad in [0, 7, 15] {
            let panic = catch_unwind(AssertUnwindSafe(|| {
                pool.run(16, |unit| assert!(unit != bad, "unit {bad} breaks"));
            }));
            let panic = panic.unwrap_err();
            assert!(panic.downcast_ref::<String>().unwrap().contains("breaks"));
            let sum = AtomicUsize::new(0);
            pool.run(10, |unit| {
                sum.fetch_add(unit, Ordering::Relaxed);
            });
            assert_eq!(sum.into_inner(), 45);
        }
    }

    #[test]
    fn callers_on_several_threads_take_turns() {
        let pool = pool(2);
        let total = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        pool.run(9, |unit| {
                            total.fetch_add(unit, Ordering::Relaxed);
                        });
                    }
                });
            }
        });
        assert_eq!(total.into_inner(), 4 * 200 * 36);
    }
}

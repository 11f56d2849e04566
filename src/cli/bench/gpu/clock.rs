//! How long a launch takes on the device itself: many are recorded, as decoders do it, and
//! what was recorded is done again and again.

use std::time::{Duration, Instant};

use super::super::samples::Samples;
use crate::gpu::{Gpu, GpuError, Recorded};

/// The most launches of a recording, where one is too short to be timed.
const MAX_RECORDED: usize = 64;

/// For how long each thing is measured, and how often.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    /// What a recording takes, about: against it the gap before the next is nothing.
    pub(super) recording: Duration,
    /// What a round takes, at least.
    pub(super) round: Duration,
    pub(super) num_rounds: usize,
}

impl Clock {
    pub(super) const STEADY: Self = Self {
        recording: Duration::from_millis(1),
        round: Duration::from_millis(30),
        num_rounds: 5,
    };

    /// Seconds of one of the calls of `launch`, which is told its number of so many: each
    /// has memory of its own, all of them more than any cache holds.
    ///
    /// # Errors
    /// The device fails.
    pub(super) fn time(
        &self,
        gpu: &Gpu,
        num_copies: usize,
        launch: impl Fn(usize) -> Result<(), GpuError>,
    ) -> Result<Samples, GpuError> {
        // The first time code is loaded, and does not count.
        launch(0)?;
        gpu.device().wait()?;
        let once = took(gpu, || launch(1 % num_copies))?;
        let wanted = times(self.recording, once).min(MAX_RECORDED);
        let num_launches = wanted.next_multiple_of(num_copies);
        let calls = || (0..num_launches).try_for_each(|number| launch(number % num_copies));
        let recorded = gpu.record(calls)?;
        let replay = |times: usize| took(gpu, || replay(gpu, &recorded, times));
        replay(1)?;
        let num_replays = times(self.round, replay(1)?);
        let seconds = (0..self.num_rounds).map(|_| {
            let took = replay(num_replays)?;
            Ok(took.as_secs_f64() / (num_replays * num_launches) as f64)
        });
        let seconds: Vec<f64> = seconds.collect::<Result<_, GpuError>>()?;
        Ok(Samples::new(seconds).expect("there is a round, and it takes time"))
    }
}

fn replay(gpu: &Gpu, recorded: &Recorded, times: usize) -> Result<(), GpuError> {
    (0..times).try_for_each(|_| gpu.replay(recorded))
}

/// What it takes until the device has done it.
fn took(gpu: &Gpu, work: impl FnOnce() -> Result<(), GpuError>) -> Result<Duration, GpuError> {
    let began = Instant::now();
    work()?;
    gpu.device().wait()?;
    Ok(began.elapsed())
}

/// How often something of such a length goes into a whole, and one time at least.
fn times(whole: Duration, part: Duration) -> usize {
    ((whole.as_secs_f64() / part.as_secs_f64().max(1e-9)).ceil() as usize).max(1)
}

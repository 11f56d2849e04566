//! What lies below the KV cache, as one: host memory, then the disk. Blocks of idle
//! conversations go to both and come back from the first that has them; sequences wait here
//! for theirs.
//!
//! Knows names and bytes; how they are filed is [`super::tiering`]'s part.
//!
//! Invariant: what is in host memory of a text is its beginning, so the disk is asked last.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::block_log::{BlockLog, BlockLogError};
use super::disk_tier::{DiskTier, Forgotten, Found};
use super::host_tier::{BlockCopy, HostTier};
use super::label::ChainHash;
use super::model_runner::ModelRunner;
use super::restoring::Restoring;
use super::sequence::{Sequence, SequenceId};
use super::{
    DiskCacheOptions, DiskCacheStats, EngineError, EngineOptions, HostCacheStats, IntegrityError,
};

/// Why an engine has no tier on the disk.
#[derive(Debug)]
pub(super) enum NoDisk {
    /// There is none by its options, and nothing in its directory.
    Off,
    /// It could not be opened, or broke down. Whatever lies in its directory stays there,
    /// and cannot be forgotten.
    Failed(EngineError),
}

#[derive(Debug)]
pub(super) struct LowerTiers {
    pub(super) host: Option<HostTier>,
    pub(super) disk: Result<DiskTier, NoDisk>,
    pub(super) restoring: BTreeMap<SequenceId, Restoring>,
}

impl LowerTiers {
    /// Opens what the options name, and tells which key the prefix cache must have.
    /// Without them the engine works all the same: whatever is wrong is said in the log.
    ///
    /// # Errors
    /// [`EngineError::Spawn`] if the system has no thread left.
    pub(super) fn open(
        options: &EngineOptions,
        runner: &ModelRunner,
    ) -> Result<(Self, [u8; 16]), EngineError> {
        let host = open_host(options.host_cache_bytes, runner);
        // As many as there may be to copy from.
        let max_pending = host.as_ref().map_or(0, HostTier::max_blocks);
        let max_pending = max_pending.saturating_add(runner.num_blocks());
        let (disk, key) = open_disk(options, runner, max_pending)?;
        Ok((Self { host, disk, restoring: BTreeMap::new() }, key))
    }

    /// Whether there is any.
    pub(super) fn exist(&self) -> bool {
        self.host.is_some() || self.disk.is_ok()
    }

    /// Calls `bell`, from another thread, whenever there is something to take.
    pub(super) fn set_bell(&self, bell: impl Fn() + Send + 'static) {
        if let Ok(disk) = &self.disk {
            disk.set_bell(bell);
        }
    }

    /// A chain that lies in the KV cache and was just used: what is lacking of it below is
    /// to be copied.
    pub(super) fn offer(&mut self, chain: Vec<ChainHash>) {
        if let Some(host) = &mut self.host {
            host.offer(&chain);
        }
        if let Ok(disk) = &mut self.disk {
            disk.offer(chain);
        }
    }

    /// Has blocks copied by `copy` as far as there is room. `copy` knows nothing of a block
    /// that is gone from the KV cache. Where `may_wait`, it waits for one that is on its way.
    pub(super) fn write_behind(
        &mut self,
        may_wait: bool,
        copy: impl Fn(ChainHash) -> Option<BlockCopy>,
    ) {
        if let Some(host) = &mut self.host {
            host.write_behind(may_wait, &copy);
        }
        if let Ok(disk) = &mut self.disk {
            disk.write_behind(|hash| match &self.host {
                Some(host) if host.contains(hash) => {
                    host.get(hash).map_or(Found::Gone, Found::Here)
                }
                Some(host) if host.awaits(hash) => Found::Later,
                _ => copy(hash).and_then(BlockCopy::wait).map_or(Found::Gone, Found::Here),
            });
        }
    }

    /// How many blocks of a chain lie below, beyond its first `num_cached`.
    pub(super) fn num_further(&self, chain: &[ChainHash], num_cached: usize) -> usize {
        let in_host = |hash| self.host.as_ref().is_some_and(|host| host.contains(hash));
        let on_disk = |hash| self.disk.as_ref().is_ok_and(|disk| disk.contains(hash));
        let further = chain.iter().skip(num_cached);
        further.take_while(|&&hash| in_host(hash) || on_disk(hash)).count()
    }

    /// Keeps a sequence until its blocks are back.
    pub(super) fn park(&mut self, restoring: Restoring) {
        if let Some(host) = &mut self.host {
            host.touch(restoring.chain());
        }
        self.restoring.insert(restoring.sequence.id, restoring);
    }

    /// Gives a sequence back, and lets the rest of its blocks be.
    pub(super) fn unpark(&mut self, id: SequenceId) -> Option<Restoring> {
        let restoring = self.restoring.remove(&id)?;
        if let Ok(disk) = &self.disk {
            disk.cancel(id);
        }
        Some(restoring)
    }

    /// Sequences that wait for their blocks.
    pub(super) fn parked(&self) -> impl ExactSizeIterator<Item = &Sequence> {
        self.restoring.values().map(|restoring| &restoring.sequence)
    }

    /// Those of them for which nothing is read from the disk now.
    pub(super) fn unserved(&self) -> Vec<SequenceId> {
        let unserved = self.restoring.values().filter(|restoring| !restoring.awaits_disk);
        unserved.map(|restoring| restoring.sequence.id).collect()
    }

    /// Asks the disk for what a sequence lacks. False if it has none of that.
    pub(super) fn ask_disk(&mut self, id: SequenceId) -> bool {
        let Self { disk: Ok(disk), restoring, .. } = self else { return false };
        let Some(restoring) = restoring.get_mut(&id) else { return false };
        let missing = restoring.missing();
        let num_there = missing.iter().take_while(|&&hash| disk.contains(hash)).count();
        if num_there == 0 {
            return false;
        }
        disk.send_for(id, &missing[..num_there]);
        restoring.awaits_disk = true;
        true
    }

    /// Whether there is nothing to do here until the disk has done something.
    pub(super) fn is_quiet(&self) -> bool {
        let is_disk_quiet = |disk: &DiskTier| !disk.has_news() && !disk.can_copy();
        let is_host_quiet = self.host.iter().all(|host| !host.has_pending());
        let all_await_disk = self.restoring.values().all(|restoring| restoring.awaits_disk);
        is_host_quiet && self.disk.iter().all(is_disk_quiet) && all_await_disk
    }

    /// Waits until something came from the disk, or the time is over.
    pub(super) fn wait(&self, limit: Duration) {
        if let Ok(disk) = &self.disk {
            disk.wait(limit);
        }
    }

    /// Forgets below what was forgotten in the KV cache: in host memory at once.
    pub(super) fn forget(&mut self, forgotten: Forgotten) {
        if let Some(host) = &mut self.host {
            host.forget(forgotten.scope);
        }
        match &mut self.disk {
            Ok(disk) => disk.forget(forgotten),
            Err(NoDisk::Off) => forgotten.answer(Ok(())),
            Err(NoDisk::Failed(error)) => forgotten.answer(Err(error.clone())),
        }
    }

    /// What a broken engine has in memory is not to be trusted: nothing more of it goes
    /// to the disk, or comes back.
    pub(super) fn distrust_memory(&mut self) {
        self.host = None;
        if let Ok(disk) = &mut self.disk {
            disk.drop_pending();
        }
    }

    /// Checks that the counts of host memory agree.
    pub(super) fn check_integrity(&self) -> Result<(), IntegrityError> {
        self.host.iter().try_for_each(HostTier::check_integrity).map_err(IntegrityError)
    }

    pub(super) fn host_stats(&self) -> Option<HostCacheStats> {
        self.host.as_ref().map(HostTier::stats)
    }

    pub(super) fn disk_stats(&self) -> Option<DiskCacheStats> {
        self.disk.as_ref().ok().map(DiskTier::stats)
    }
}

fn open_host(capacity_bytes: u64, runner: &ModelRunner) -> Option<HostTier> {
    let host = HostTier::new(capacity_bytes, runner.block_bytes(), runner.num_blocks());
    if host.is_none() && capacity_bytes > 0 {
        tracing::warn!(capacity_bytes, "the host cache is off: it would not hold two blocks");
    }
    host
}

fn open_disk(
    options: &EngineOptions,
    runner: &ModelRunner,
    max_pending: usize,
) -> Result<(Result<DiskTier, NoDisk>, [u8; 16]), EngineError> {
    let new_key = options.cache_key;
    let Some(DiskCacheOptions { dir, capacity_bytes, key }) = &options.disk_cache else {
        return Ok((Err(NoDisk::Off), new_key));
    };
    let opened = if 2 * runner.block_bytes() as u64 > *capacity_bytes {
        tracing::warn!(capacity_bytes, "the disk cache is off: it would not hold two blocks");
        // What it held when it was larger would stay, and nobody would forget it.
        BlockLog::clear(dir).map(|()| None)
    } else {
        let identity = runner.kv_identity();
        BlockLog::open(dir, *capacity_bytes, &identity, new_key, key.as_ref()).map(Some)
    };
    match opened {
        Ok(Some(log)) => {
            let (num_blocks, num_bytes) = (log.num_blocks(), log.num_bytes());
            tracing::info!(num_blocks, num_bytes, "the disk cache is open");
            let key = log.key();
            let disk = DiskTier::start(log, runner.block_bytes(), max_pending)?;
            Ok((Ok(disk), key))
        }
        Ok(None) => Ok((Err(NoDisk::Off), new_key)),
        Err(error) => {
            if matches!(error, BlockLogError::Locked(_)) {
                tracing::warn!(%error, "this engine runs without a disk cache");
            } else {
                let dir = dir.display();
                tracing::error!(%error, %dir, "this engine runs without a disk cache");
            }
            Ok((Err(NoDisk::Failed(error.into())), new_key))
        }
    }
}

/// Deletes what an engine left in the directory of its disk cache, for whoever wants
/// none any more. Does nothing where there is none.
///
/// # Errors
/// `DiskCache` if an engine uses it now, or the system refuses.
pub fn discard_disk_cache(dir: &Path) -> Result<(), EngineError> {
    Ok(BlockLog::clear(dir)?)
}

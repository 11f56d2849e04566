//! A device for tests: the kernels, compiled for this machine's CPU (`emulator.hpp`), in
//! memory of which every byte beyond an allocation is watched.

use std::alloc::{Layout, alloc, dealloc};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use libloading::{Library, Symbol};
use sha2::{Digest, Sha256};

use super::GpuError;
use super::device::{Address, Coming, Device, HostAddress, Kernel, Recording, Shape};
use super::program::Program;

/// Bytes on both sides of an allocation that nobody may write.
const GUARD: usize = 256;
const GUARDED: u8 = 0xcd;
/// What memory holds before anybody writes it: operands that are no numbers.
const ANYTHING: u8 = 0xff;

/// As `emulator.hpp` has it.
#[repr(C)]
struct Launch {
    grid: [u32; 3],
    threads: u32,
    shared_bytes: u32,
    backwards: u32,
}

type Entry = unsafe extern "C" fn(*const Launch, *const u8, u64) -> i32;

/// A launch that was recorded.
type Recorded = (Kernel, Shape, Vec<u8>);

#[derive(Debug)]
pub(crate) struct Emulator {
    /// Bytes that there are.
    memory: AtomicUsize,
    num_refused: AtomicUsize,
    num_short: AtomicUsize,
    is_broken: AtomicBool,
    /// The least that is read at once with a bit changed.
    blurred_from: AtomicUsize,
    /// In which order threads of a block begin.
    is_backwards: AtomicBool,
    num_launches: AtomicUsize,
    num_replays: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    allocations: BTreeMap<Address, usize>,
    library: Option<Library>,
    kernels: Vec<String>,
    recordings: Vec<Vec<Recorded>>,
    is_recording: bool,
}

impl State {
    fn used(&self) -> usize {
        self.allocations.values().sum()
    }
}

impl Emulator {
    /// A device with that much memory; `None`, with a word on the error stream, where there
    /// is no C++ compiler.
    pub(crate) fn new(memory: usize) -> Option<Self> {
        if Command::new("c++").arg("--version").output().is_err() {
            super::nvrtc::tests::skipped("no C++ compiler, which kernels for GPUs are run by");
            return None;
        }
        Some(Self {
            memory: AtomicUsize::new(memory),
            num_refused: AtomicUsize::new(0),
            num_short: AtomicUsize::new(0),
            is_backwards: AtomicBool::new(false),
            num_launches: AtomicUsize::new(0),
            num_replays: AtomicUsize::new(0),
            is_broken: AtomicBool::new(false),
            blurred_from: AtomicUsize::new(usize::MAX),
            state: Mutex::default(),
        })
    }

    /// Has the last thread of each block begin, or the first.
    pub(crate) fn set_backwards(&self, is_backwards: bool) {
        self.is_backwards.store(is_backwards, Ordering::Relaxed);
    }

    /// Has so many bytes free from now on.
    pub(crate) fn leave(&self, num_bytes: usize) {
        self.memory.store(self.state().used() + num_bytes, Ordering::Relaxed);
    }

    /// Is out of memory at the next so many kernels.
    pub(crate) fn run_out(&self, num_kernels: usize) {
        self.num_short.store(num_kernels, Ordering::Relaxed);
    }

    /// Fails at every kernel from now on.
    pub(crate) fn break_down(&self) {
        self.is_broken.store(true, Ordering::Relaxed);
    }

    /// Changes the first float's last bit wherever so many bytes are read at once.
    pub(crate) fn blur_from(&self, num_bytes: usize) {
        self.blurred_from.store(num_bytes, Ordering::Relaxed);
    }

    /// Allocations that were refused.
    pub(crate) fn num_refused(&self) -> usize {
        self.num_refused.load(Ordering::Relaxed)
    }

    /// Launches so far that were not recorded ones, and replays.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.num_launches.load(Ordering::Relaxed), self.num_replays.load(Ordering::Relaxed))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn layout(num_bytes: usize) -> Layout {
        Layout::from_size_align(num_bytes + 2 * GUARD, 256).unwrap()
    }

    fn run(&self, kernel: Kernel, shape: Shape, parameter: &[u8]) -> Result<(), GpuError> {
        if self.is_broken.load(Ordering::Relaxed) {
            return Err(GpuError::Failed("broken on purpose".into()));
        }
        let fewer = |left: usize| left.checked_sub(1);
        if self.num_short.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer).is_ok() {
            self.num_refused.fetch_add(1, Ordering::Relaxed);
            return Err(GpuError::OutOfMemory { num_bytes: None });
        }
        let state = self.state();
        let name = &state.kernels[kernel.0];
        let library = state.library.as_ref().unwrap();
        let launch = Launch {
            grid: shape.grid,
            threads: shape.threads,
            shared_bytes: shape.shared_bytes,
            backwards: u32::from(self.is_backwards.load(Ordering::Relaxed)),
        };
        // SAFETY: such is every kernel of the library that we compiled.
        let status = unsafe {
            let entry: Symbol<'_, Entry> = library.get(name.as_bytes()).unwrap();
            entry(&raw const launch, parameter.as_ptr(), parameter.len() as u64)
        };
        match status {
            0 => Ok(()),
            _ => Err(GpuError::Failed(format!("{name} does not take {shape:?}"))),
        }
    }
}

impl Device for Emulator {
    fn name(&self) -> String {
        "emulated".into()
    }

    fn memory(&self) -> Result<(usize, usize), GpuError> {
        let total = self.memory.load(Ordering::Relaxed);
        Ok((total.saturating_sub(self.state().used()), total))
    }

    fn allocate(&self, num_bytes: usize) -> Result<Address, GpuError> {
        let mut state = self.state();
        if state.used() + num_bytes > self.memory.load(Ordering::Relaxed) {
            self.num_refused.fetch_add(1, Ordering::Relaxed);
            return Err(GpuError::OutOfMemory { num_bytes: Some(num_bytes) });
        }
        // SAFETY: the layout is not empty, and all of it is written.
        let start = unsafe {
            let start = alloc(Self::layout(num_bytes));
            start.write_bytes(GUARDED, num_bytes + 2 * GUARD);
            start.add(GUARD).write_bytes(ANYTHING, num_bytes);
            start.add(GUARD)
        };
        state.allocations.insert(start as Address, num_bytes);
        Ok(start as Address)
    }

    fn free(&self, address: Address) {
        let num_bytes = self.state().allocations.remove(&address).expect("an allocation");
        // SAFETY: `allocate` made it so.
        unsafe {
            let start = (address as *mut u8).sub(GUARD);
            let all = std::slice::from_raw_parts(start, num_bytes + 2 * GUARD);
            let is_whole = |bytes: &[u8]| bytes.iter().all(|&byte| byte == GUARDED);
            let guards = (is_whole(&all[..GUARD]), is_whole(&all[GUARD + num_bytes..]));
            dealloc(start, Self::layout(num_bytes));
            if !std::thread::panicking() {
                assert_eq!(guards, (true, true), "a kernel wrote beside {num_bytes} bytes");
            }
        }
    }

    unsafe fn clear(&self, address: Address, num_bytes: usize) -> Result<(), GpuError> {
        // SAFETY: the caller's promise.
        unsafe { (address as *mut u8).write_bytes(0, num_bytes) };
        Ok(())
    }

    unsafe fn upload(&self, bytes: &[u8], to: Address) -> Result<(), GpuError> {
        assert!(!self.state().is_recording, "copies are not recorded");
        // SAFETY: the caller's promise.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to as *mut u8, bytes.len()) };
        Ok(())
    }

    unsafe fn download(&self, from: Address, out: &mut [u8]) -> Result<(), GpuError> {
        assert!(!self.state().is_recording, "copies are not recorded");
        // SAFETY: the caller's promise.
        unsafe { std::ptr::copy_nonoverlapping(from as *const u8, out.as_mut_ptr(), out.len()) };
        if out.len() >= self.blurred_from.load(Ordering::Relaxed) {
            out[0] ^= 1;
        }
        Ok(())
    }

    unsafe fn send_for(&self, from: Address, num_bytes: usize) -> Result<Coming, GpuError> {
        let mut bytes = vec![0; num_bytes];
        // SAFETY: the caller's promise.
        unsafe { self.download(from, &mut bytes) }?;
        let (to, coming) = Coming::new();
        let broken = self.is_broken.load(Ordering::Relaxed);
        let arrival =
            if broken { Err(GpuError::Failed("broken on purpose".into())) } else { Ok(bytes) };
        // Sometime, as from another thread.
        std::thread::spawn(move || to.send(arrival));
        Ok(coming)
    }

    fn allocate_host(&self, num_bytes: usize) -> Result<HostAddress, GpuError> {
        Ok(self.allocate(num_bytes)? as HostAddress)
    }

    fn free_host(&self, memory: HostAddress) {
        self.free(memory as Address);
    }

    unsafe fn download_to_host(
        &self,
        from: Address,
        to: HostAddress,
        num_bytes: usize,
    ) -> Result<(), GpuError> {
        // SAFETY: the caller's promise.
        unsafe {
            let out = std::slice::from_raw_parts_mut(to as *mut u8, num_bytes);
            self.download(from, out)
        }
    }

    fn wait(&self) -> Result<(), GpuError> {
        Ok(())
    }

    fn load(&self, program: &Program) -> Result<Vec<Kernel>, GpuError> {
        let library = compile(program).map_err(GpuError::Compile)?;
        let mut state = self.state();
        // SAFETY: what we compiled does nothing when it is loaded.
        state.library = Some(unsafe { Library::new(library) }.unwrap());
        state.kernels.clone_from(&program.kernels);
        Ok((0..program.kernels.len()).map(Kernel).collect())
    }

    unsafe fn launch(
        &self,
        kernel: Kernel,
        shape: Shape,
        parameter: &[u8],
    ) -> Result<(), GpuError> {
        let mut state = self.state();
        if state.is_recording {
            let recording = state.recordings.last_mut().unwrap();
            recording.push((kernel, shape, parameter.to_vec()));
            return Ok(());
        }
        drop(state);
        self.num_launches.fetch_add(1, Ordering::Relaxed);
        self.run(kernel, shape, parameter)
    }

    fn record(
        &self,
        launches: &mut dyn FnMut() -> Result<(), GpuError>,
    ) -> Result<Recording, GpuError> {
        let number = {
            let mut state = self.state();
            state.is_recording = true;
            state.recordings.push(Vec::new());
            state.recordings.len() - 1
        };
        let launched = launches();
        self.state().is_recording = false;
        launched.map(|()| Recording(number))
    }

    fn forget(&self, recording: Recording) {
        self.state().recordings[recording.0] = Vec::new();
    }

    unsafe fn replay(&self, recording: Recording) -> Result<(), GpuError> {
        self.num_replays.fetch_add(1, Ordering::Relaxed);
        let launches = self.state().recordings[recording.0].clone();
        launches.iter().try_for_each(|(kernel, shape, bytes)| self.run(*kernel, *shape, bytes))
    }
}

/// The library of a program, compiled unless that was done before.
fn compile(program: &Program) -> Result<PathBuf, String> {
    let source = Program::source_on(include_str!("emulator/emulator.hpp"));
    let defines: Vec<String> =
        program.defines.iter().map(|(name, value)| format!("-D{name}={value}")).collect();
    let mut hasher = Sha256::new();
    hasher.update(&source);
    hasher.update(defines.join(" "));
    let name = format!("{:x}", hasher.finalize());
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/tmp/gpu-emulator");
    let library = dir.join(format!("{name}.so"));
    if library.exists() {
        return Ok(library);
    }
    std::fs::create_dir_all(&dir).map_err(|error| error.to_string())?;
    let own = tempfile::tempdir_in(&dir).map_err(|error| error.to_string())?;
    let (from, to) = (own.path().join("kernels.cpp"), own.path().join("kernels.so"));
    std::fs::write(&from, source).map_err(|error| error.to_string())?;
    // No sum may be fused but those that ask for it.
    let flags = "-std=c++17 -O3 -fPIC -shared -ffp-contract=off -U_FORTIFY_SOURCE -w";
    let output = Command::new("c++")
        .args(flags.split(' '))
        .args(defines)
        .arg("-o")
        .args([&to, &from])
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    std::fs::rename(&to, &library).map_err(|error| error.to_string())?;
    Ok(library)
}

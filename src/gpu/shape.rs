//! A device with its kernels, and the shapes that they were compiled for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::GpuError;
use super::device::{Address, Allocation, Buffer, Device, Kernel, Recording, Shape};
use super::packing::{Format, Operand};
use super::parameters::Parameter;
use super::program::{COMMON, OF_FORMAT, Program};

/// Positions of a unit of the cache: blocks are whole units.
pub(super) const UNIT: usize = 32;

/// The slot of a row whose key and value are kept nowhere.
pub(crate) const NOWHERE: u32 = u32::MAX;

/// How many heads there are, and how wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HeadShape {
    pub(crate) num_heads: usize,
    pub(crate) num_kv_heads: usize,
    pub(crate) head_dim: usize,
}

impl HeadShape {
    /// Query heads that share a key-value head.
    pub(super) fn group(&self) -> usize {
        self.num_heads / self.num_kv_heads
    }

    /// Elements of a query, as products take them.
    pub(crate) fn padded_head(&self) -> usize {
        self.head_dim.next_multiple_of(64)
    }

    /// Elements of a row of queries, keys and values.
    pub(crate) fn width(&self) -> usize {
        (self.num_heads + 2 * self.num_kv_heads) * self.head_dim
    }

    /// Positions whose heads of a group fill a tile.
    pub(crate) fn tile_positions(&self) -> usize {
        16 / self.group()
    }

    /// What is wrong with it for the kernels, if anything is.
    pub(crate) fn complaint(&self) -> Option<String> {
        if !self.head_dim.is_multiple_of(8) || self.head_dim > 128 {
            return Some(format!("heads of {}: a multiple of 8 up to 128", self.head_dim));
        }
        (self.group() > 16).then(|| format!("groups of {} heads: up to 16", self.group()))
    }

    fn unit_bytes(&self) -> usize {
        UNIT * (self.padded_head() + self.head_dim) * 2
    }
}

/// How a cache of keys and values is laid out: a block has all layers, a layer all heads,
/// a head its units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KvShape {
    pub(crate) heads: HeadShape,
    pub(crate) num_layers: usize,
    /// Positions of a block, whole units.
    pub(crate) block_size: usize,
}

impl KvShape {
    /// Whether blocks of that many positions can be.
    pub(crate) fn is_block_size(block_size: usize) -> bool {
        block_size > 0 && block_size.is_multiple_of(UNIT)
    }

    /// Bytes of a block.
    pub(crate) fn block_bytes(&self) -> usize {
        self.num_layers * self.layer_bytes()
    }

    fn layer_bytes(&self) -> usize {
        self.heads.num_kv_heads * (self.block_size / UNIT) * self.heads.unit_bytes()
    }

    /// Where a layer begins in a block.
    pub(super) fn layer_at(&self, layer: usize) -> usize {
        assert!(layer < self.num_layers, "a layer of the cache");
        layer * self.layer_bytes()
    }
}

/// A part of a buffer, from some byte on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    buffer: &'a Buffer,
    offset: usize,
}

impl<'a> From<&'a Buffer> for View<'a> {
    fn from(buffer: &'a Buffer) -> Self {
        Self { buffer, offset: 0 }
    }
}

impl<'a> View<'a> {
    /// # Panics
    /// If the buffer ends before.
    pub(crate) fn at(buffer: &'a Buffer, offset: usize) -> Self {
        assert!(offset <= buffer.num_bytes(), "{offset} is beyond the buffer");
        Self { buffer, offset }
    }
}

/// A device with the kernels of one model.
#[derive(Debug)]
pub(crate) struct Gpu {
    device: Arc<dyn Device>,
    heads: HeadShape,
    identity: String,
    kernels: Vec<Kernel>,
    formats: Vec<Format>,
    /// What the launches that are being recorded name.
    named: Mutex<Option<Vec<Arc<Allocation>>>>,
}

/// Launches that can be done again, with the memory that they name.
#[derive(Debug)]
pub(crate) struct Recorded {
    device: Arc<dyn Device>,
    recording: Recording,
    _named: Vec<Arc<Allocation>>,
}

impl Drop for Recorded {
    fn drop(&mut self) {
        self.device.forget(self.recording);
    }
}

impl Gpu {
    /// Compiles the kernels for these heads, operands and matrices.
    ///
    /// # Errors
    /// There is no compiler, or it refuses.
    ///
    /// # Panics
    /// If there are no kernels for such heads.
    pub(crate) fn new(
        device: &Arc<dyn Device>,
        heads: HeadShape,
        operand: Operand,
        formats: impl IntoIterator<Item = Format>,
    ) -> Result<Self, GpuError> {
        assert_eq!(heads.complaint(), None, "kernels for such heads");
        let found: Vec<_> = formats.into_iter().collect();
        let formats: Vec<_> = Format::ALL.into_iter().filter(|f| found.contains(f)).collect();
        let program = Program::new(heads, operand, &formats);
        let kernels = device.load(&program)?;
        let identity = format!("{} {}", device.name(), program.digest());
        Ok(Self {
            device: Arc::clone(device),
            heads,
            identity,
            kernels,
            formats,
            named: Mutex::default(),
        })
    }

    pub(crate) fn device(&self) -> &Arc<dyn Device> {
        &self.device
    }

    pub(crate) fn heads(&self) -> HeadShape {
        self.heads
    }

    /// The kind of device and what it computes with: the same bits come of the same ones.
    pub(crate) fn identity(&self) -> &str {
        &self.identity
    }

    pub(super) fn kernel(&self, name: &str) -> Kernel {
        let at = COMMON.iter().position(|&kernel| kernel == name);
        self.kernels[at.expect("a kernel of ours")]
    }

    /// # Panics
    /// If the kernels were compiled without the format.
    pub(super) fn kernel_of(&self, name: &str, format: Format) -> Kernel {
        let at = OF_FORMAT.iter().position(|&kernel| kernel == name).expect("a kernel of ours");
        let of = self.formats.iter().position(|&it| it == format).expect("a format that is there");
        self.kernels[COMMON.len() + of * OF_FORMAT.len() + at]
    }

    /// # Safety
    /// As [`Device::launch`].
    pub(super) unsafe fn launch(
        &self,
        kernel: Kernel,
        shape: Shape,
        parameter: &impl Parameter,
    ) -> Result<(), GpuError> {
        if shape.grid.contains(&0) {
            return Ok(());
        }
        // SAFETY: the caller's promise.
        unsafe { self.device.launch(kernel, shape, parameter.bytes()) }
    }

    /// The address of a part of a buffer, once it is seen to have `num_bytes`.
    ///
    /// # Panics
    /// If it has not.
    pub(super) fn address<'a>(&self, view: impl Into<View<'a>>, num_bytes: usize) -> Address {
        let View { buffer, offset } = view.into();
        let left = buffer.num_bytes() - offset;
        assert!(num_bytes <= left, "{num_bytes} bytes of {left}");
        if let Some(named) = &mut *self.named() {
            named.push(Arc::clone(buffer.allocation()));
        }
        buffer.address() + offset as u64
    }

    fn named(&self) -> MutexGuard<'_, Option<Vec<Arc<Allocation>>>> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records launches, to be done again by [`Gpu::replay`].
    ///
    /// # Errors
    /// What `launches` tells, or the device refuses.
    pub(crate) fn record(
        &self,
        mut launches: impl FnMut() -> Result<(), GpuError>,
    ) -> Result<Recorded, GpuError> {
        *self.named() = Some(Vec::new());
        let recording = self.device.record(&mut launches);
        let named = self.named().take().unwrap_or_default();
        Ok(Recorded { device: Arc::clone(&self.device), recording: recording?, _named: named })
    }

    /// Does what was recorded.
    ///
    /// # Errors
    /// The device fails.
    pub(crate) fn replay(&self, recorded: &Recorded) -> Result<(), GpuError> {
        // SAFETY: the launches were checked when they were recorded, and the memory that they
        // name is still there, as `recorded` has a part in it.
        unsafe { self.device.replay(recorded.recording) }
    }
}

/// A number that a kernel takes.
///
/// # Panics
/// Beyond 32 bits: no shape of a decoder is.
pub(super) fn word(number: usize) -> u32 {
    u32::try_from(number).expect("a shape within 32 bits")
}

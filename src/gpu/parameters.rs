//! The kernels' parameters, field for field as their sources declare them.

use super::device::Address;

/// A struct that a kernel takes.
///
/// # Safety
/// `repr(C)`, and no padding: every byte of it is a field's.
pub(super) unsafe trait Parameter: Sized {
    fn bytes(&self) -> &[u8] {
        // SAFETY: whoever implements this says that all bytes are initialised.
        unsafe { std::slice::from_raw_parts(std::ptr::from_ref(self).cast(), size_of::<Self>()) }
    }
}

macro_rules! parameters {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $kind:ty),* $(,)? })*) => {$(
        $(#[$doc])*
        #[repr(C)]
        #[derive(Debug, Clone, Copy)]
        pub(super) struct $name { $(pub(super) $field: $kind),* }

        const _: () = assert!(size_of::<$name>() == 0 $(+ size_of::<$kind>())*, "no padding");

        // SAFETY: `repr(C)`, and the assertion above.
        unsafe impl Parameter for $name {}
    )*};
}

parameters! {
    Linear {
        tiles: Address,
        scales: Address,
        inputs: Address,
        outputs: Address,
        num_rows: u32,
        num_chunks: u32,
        num_segments: u32,
        num_tokens: u32,
        stride: u32,
        column: u32,
        finish: u32,
        padding: u32,
    }
    Embed {
        tiles: Address,
        scales: Address,
        tokens: Address,
        rows: Address,
        num_columns: u32,
        num_chunks: u32,
    }
    RmsNorm {
        rows: Address,
        weights: Address,
        outputs: Address,
        wanted: Address,
        num_columns: u32,
        num_chunks: u32,
        eps: f32,
        padding: u32,
    }
    Rotations {
        positions: Address,
        frequencies: Address,
        rotations: Address,
    }
    Heads {
        heads: Address,
        rotations: Address,
        queries: Address,
        cache: Address,
        slots: Address,
        block_bytes: u64,
        layer_at: u64,
        num_heads: u32,
        num_kv_heads: u32,
        block_size: u32,
        scale: f32,
    }
    Attend {
        queries: Address,
        cache: Address,
        tables: Address,
        tiles: Address,
        pieces: Address,
        outputs: Address,
        sums: Address,
        states: Address,
        block_bytes: u64,
        layer_at: u64,
        num_tiles: u32,
        num_pieces: u32,
        piece_rows: u32,
        num_kv_heads: u32,
        block_size: u32,
        window: u32,
        num_chunks: u32,
        padding: u32,
    }
    ReadMemory {
        from: Address,
        folds: Address,
    }
    MultiplyRegisters {
        operands: Address,
        sums: Address,
        num_rounds: u32,
        padding: u32,
    }
}

//! How much of anybody's file is read at most.

/// How much is read and unpacked at most; what is more is an error, found before the
/// memory is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a whole file.
    pub file_bytes: usize,
    /// Bytes of one JSON document.
    pub json_bytes: usize,
    /// How deep JSON may be nested.
    pub json_depth: usize,
    /// Values in lists and objects of one JSON document, all levels together.
    pub json_values: usize,
    /// Entries of an archive, or chunks of a PNG that hold text.
    pub parts: usize,
    /// Bytes of one part of an archive once unpacked.
    pub part_bytes: usize,
    /// Bytes of all parts together once unpacked.
    pub total_bytes: usize,
    /// How many times bigger a part may become when it is unpacked.
    pub ratio: usize,
    /// Pixels of a picture that is decoded.
    pub pixels: u64,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: usize = 1 << 20;
        Self {
            file_bytes: 64 * MIB,
            json_bytes: 32 * MIB,
            json_depth: 64,
            json_values: 200_000,
            parts: 2_000,
            part_bytes: 32 * MIB,
            total_bytes: 128 * MIB,
            ratio: 200,
            pixels: 40_000_000,
        }
    }
}

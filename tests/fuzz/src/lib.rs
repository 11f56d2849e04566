//! The rooms that read files, compiled alone: the whole crate would take long to build
//! with the fuzzer's instruments, and has nothing to do with them.

#[path = "../../../src/domain/mod.rs"]
pub mod domain;
#[path = "../../../src/formats/mod.rs"]
pub mod formats;
#[path = "../../../src/lore/mod.rs"]
pub mod lore;
#[path = "../../../src/sampling/mod.rs"]
pub mod sampling;

use formats::Limits;

/// Limits that let a fuzzer try much in little time.
pub fn limits() -> Limits {
    Limits {
        file_bytes: 1 << 20,
        json_bytes: 1 << 19,
        part_bytes: 1 << 19,
        total_bytes: 1 << 20,
        pixels: 1 << 18,
        ..Limits::default()
    }
}

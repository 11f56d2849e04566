//! Large pieces of memory: weights, which are read from end to end, in large pages where
//! the system has them (small ones cost a look-up every 4 KiB, and stop the processor's
//! own prefetching), and zeros that cost nothing until they are used.

use std::alloc::{Layout, alloc_zeroed};

/// `len` copies of a value.
pub(super) fn filled<T: Copy>(value: T, len: usize) -> Vec<T> {
    let mut values = Vec::with_capacity(len);
    advise(values.as_ptr(), len);
    values.resize(len, value);
    values
}

/// Zeroed halves, resident only once they are touched; `None` if the system does not give
/// that much.
pub(super) fn zeroed(len: usize) -> Option<Vec<u16>> {
    let layout = Layout::array::<u16>(len).ok()?;
    if len == 0 {
        return Some(Vec::new());
    }
    // SAFETY: the layout is not empty.
    let start = unsafe { alloc_zeroed(layout) };
    // SAFETY: `len` zeroed halves from the allocator that vectors use, in the layout of a
    // vector of that capacity.
    (!start.is_null()).then(|| unsafe { Vec::from_raw_parts(start.cast(), len, len) })
}

/// Asks for large pages before the memory is touched.
#[cfg(target_os = "linux")]
fn advise<T>(start: *const T, len: usize) {
    use nix::sys::mman::{MmapAdvise, madvise};
    use std::ffi::c_void;
    use std::ptr::NonNull;

    const PAGE: usize = 4096;
    let (address, bytes) = (start as usize, len * size_of::<T>());
    let first = address.next_multiple_of(PAGE);
    let end = (address + bytes) / PAGE * PAGE;
    let Some(start) = NonNull::new(start.cast_mut().cast::<c_void>()) else { return };
    if end <= first {
        return;
    }
    // SAFETY: whole pages of our own allocation; the advice changes no contents. What it
    // brings is speed, so a system that refuses it is no error.
    let _ =
        unsafe { madvise(start.byte_add(first - address), end - first, MmapAdvise::MADV_HUGEPAGE) };
}

#[cfg(not(target_os = "linux"))]
fn advise<T>(_: *const T, _: usize) {}

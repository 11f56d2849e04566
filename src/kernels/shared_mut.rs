//! A slice of which threads write disjoint parts.

use std::marker::PhantomData;

/// A mutable slice that may be handed to several threads.
#[derive(Clone, Copy)]
pub(super) struct SharedMut<'a, T> {
    start: *mut T,
    len: usize,
    slice: PhantomData<&'a mut [T]>,
}

// SAFETY: access is `unsafe`, and the caller promises that no two threads reach the
// same elements.
unsafe impl<T: Send> Send for SharedMut<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for SharedMut<'_, T> {}

impl<'a, T> SharedMut<'a, T> {
    pub(super) fn new(slice: &'a mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), slice: PhantomData }
    }

    /// Elements `start..start + len`.
    ///
    /// # Safety
    /// Nobody else reaches them while the result lives.
    #[inline]
    pub(super) unsafe fn part(&self, start: usize, len: usize) -> &'a mut [T] {
        assert!(start <= self.len && len <= self.len - start, "a part lies within its slice");
        // SAFETY: the part lies within the slice; the caller keeps it to itself.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(start), len) }
    }

    /// Where elements `start..start + len` begin, for who writes only some of them.
    #[inline]
    pub(super) fn pointer(&self, start: usize, len: usize) -> *mut T {
        assert!(start <= self.len && len <= self.len - start, "a part lies within its slice");
        self.start.wrapping_add(start)
    }
}

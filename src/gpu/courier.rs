//! Bytes that come from a GPU beside its work. The GPU writes them into memory of this
//! machine when it comes to that; a thread waits for that, and takes them out. So whoever
//! asks for them waits neither for the bus nor for fresh pages.

use std::ptr;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use super::GpuError;
use super::cuda::{self, Driver, DriverError, Handle};
use super::device::{Address, Arrival, Coming};

/// Takes bytes out of memory that a GPU writes, on a thread of its own.
pub(super) struct Courier {
    driver: &'static Driver,
    /// None once it ends.
    parcels: Option<Sender<Parcel>>,
    thread: Option<JoinHandle<()>>,
    spare: Arc<Mutex<Vec<Place>>>,
}

/// Host memory that a GPU writes by itself, and when that was done.
struct Place {
    memory: *mut u8,
    capacity: usize,
    event: Handle,
}

// SAFETY: memory and handles belong to the process; a place is one owner's at a time.
unsafe impl Send for Place {}

/// Bytes on their way.
struct Parcel {
    place: Place,
    num_bytes: usize,
    to: Sender<Arrival>,
}

/// A context, for the thread.
struct Context(Handle);

// SAFETY: the driver's handles belong to the process, not to a thread.
unsafe impl Send for Context {}

impl Courier {
    /// Its thread works in this context, which lives until it is dropped.
    ///
    /// # Errors
    /// The system has no thread left.
    pub(super) fn start(driver: &'static Driver, context: Handle) -> Result<Self, GpuError> {
        let (sender, parcels) = mpsc::channel();
        let spare = Arc::new(Mutex::default());
        let (context, places) = (Context(context), Arc::clone(&spare));
        let thread = thread::Builder::new()
            .name("gpu-courier".into())
            .spawn(move || deliver(driver, &context, &parcels, &places))
            .map_err(|error| GpuError::Failed(format!("no thread for its bytes: {error}")))?;
        Ok(Self { driver, parcels: Some(sender), thread: Some(thread), spare })
    }

    /// Has bytes from there delivered as they are when everything told to the stream before
    /// is done.
    ///
    /// # Errors
    /// The device fails, or there is no memory for it.
    ///
    /// # Safety
    /// They are one allocation's; the stream is of the courier's context, which is current.
    pub(super) unsafe fn send_for(
        &self,
        from: Address,
        num_bytes: usize,
        stream: Handle,
    ) -> Result<Coming, GpuError> {
        let place = self.place(num_bytes)?;
        // SAFETY: the place is long enough and nobody else's; the rest was promised.
        let told = unsafe {
            self.driver
                .cuMemcpyDtoHAsync_v2(place.memory.cast(), from, num_bytes, stream)
                .and_then(|()| self.driver.cuEventRecord(place.event, stream))
        };
        if let Err(error) = told {
            put_back(&self.spare, place);
            return Err(error.into());
        }
        let (to, coming) = Coming::new();
        if let Some(parcels) = &self.parcels {
            // Where the thread is gone, so is `to`, and what comes is an error.
            let _ = parcels.send(Parcel { place, num_bytes, to });
        }
        Ok(coming)
    }

    fn place(&self, num_bytes: usize) -> Result<Place, DriverError> {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = spare.iter().position(|place| place.capacity >= num_bytes) {
            return Ok(spare.swap_remove(at));
        }
        drop(spare);
        let (mut memory, mut event) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: it writes one handle.
        unsafe { self.driver.cuEventCreate(&mut event, cuda::EVENT_DISABLE_TIMING) }?;
        // SAFETY: it writes one address.
        if let Err(error) = unsafe { self.driver.cuMemHostAlloc(&mut memory, num_bytes, 0) } {
            // SAFETY: it is ours, was never recorded, and is forgotten.
            let _ = unsafe { self.driver.cuEventDestroy_v2(event) };
            return Err(error);
        }
        Ok(Place { memory: memory.cast(), capacity: num_bytes, event })
    }
}

/// What the thread does until nobody can send it anything more.
fn deliver(
    driver: &Driver,
    context: &Context,
    parcels: &Receiver<Parcel>,
    spare: &Mutex<Vec<Place>>,
) {
    // SAFETY: the context lives as long as the courier.
    let bound = unsafe { driver.cuCtxSetCurrent(context.0) };
    for Parcel { place, num_bytes, to } in parcels {
        // SAFETY: the event lives as long as the place.
        let written = bound.and_then(|()| unsafe { driver.cuEventSynchronize(place.event) });
        let arrival = written.map_err(GpuError::from).map(|()| {
            // SAFETY: the GPU has written so many bytes, and is done with the place.
            unsafe { std::slice::from_raw_parts(place.memory, num_bytes) }.to_vec()
        });
        put_back(spare, place);
        // Whoever sent for it may need it no more.
        let _ = to.send(arrival);
    }
}

fn put_back(spare: &Mutex<Vec<Place>>, place: Place) {
    spare.lock().unwrap_or_else(PoisonError::into_inner).push(place);
}

impl Drop for Courier {
    /// Waits for what is on its way. The context is current.
    fn drop(&mut self) {
        self.parcels = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of a GPU's bytes had panicked");
        }
        for Place { memory, event, .. } in
            self.spare.lock().unwrap_or_else(PoisonError::into_inner).drain(..)
        {
            // SAFETY: they are ours, the GPU is done with them, and they are forgotten.
            unsafe {
                let _ = self.driver.cuEventDestroy_v2(event);
                let _ = self.driver.cuMemFreeHost(memory.cast());
            }
        }
    }
}

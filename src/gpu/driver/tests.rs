//! On the GPU that is there; where there is none, they say so.

use std::sync::Arc;

use super::super::device::Buffer;
use super::super::nvrtc::tests::{library, skipped};
use super::*;

const ADD: &str = r#"
    struct Parameter { unsigned char* bytes; unsigned num_bytes; unsigned value; };
    extern "C" __global__ void add(Parameter p) {
        unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i < p.num_bytes) p.bytes[i] += p.value;
    }
"#;

/// More than the ring holds, and not whole slots of it.
const MANY_BYTES: usize = 2 * NUM_SLOTS * SLOT_BYTES + SLOT_BYTES / 3;

/// The first GPU with a program of one kernel, if there is one.
fn device() -> Option<(Arc<dyn Device>, Kernel)> {
    if CudaDevice::count() == 0 {
        skipped("no NVIDIA GPU");
        return None;
    }
    let (cache_dir, library) = (tempfile::tempdir().unwrap(), library()?);
    let open = || CudaDevice::open(0, &library, cache_dir.path()).unwrap();
    let program = Program { source: ADD.into(), defines: Vec::new(), kernels: vec!["add".into()] };
    let absent = Program { kernels: vec!["absent".into()], ..program.clone() };
    let error = open().load(&absent).unwrap_err().to_string();
    assert!(error.contains("absent"), "{error}");
    // Compiled, then kept.
    let kernels = open().load(&program).unwrap();
    let device = open();
    let (free, total) = device.memory().unwrap();
    assert!(free <= total && !device.name().is_empty());
    assert_eq!(device.load(&program).unwrap(), kernels);
    Some((Arc::new(device), kernels[0]))
}

fn add(device: &dyn Device, kernel: Kernel, buffer: &Buffer, value: u32) {
    let num_bytes = buffer.num_bytes() as u32;
    let mut parameter = buffer.address().to_le_bytes().to_vec();
    parameter.extend(num_bytes.to_le_bytes().into_iter().chain(value.to_le_bytes()));
    let grid = [num_bytes.div_ceil(128), 1, 1];
    // More shared memory than a kernel has that does not ask.
    let shape = Shape { grid, threads: 128, shared_bytes: 64 << 10 };
    // SAFETY: this is what the kernel takes; the buffer is as long as it says.
    unsafe { device.launch(kernel, shape, &parameter) }.unwrap();
}

#[test]
fn where_there_is_no_gpu_that_is_an_answer() {
    let index = CudaDevice::count();
    let error = CudaDevice::open(index, Path::new("libnvrtc.so"), Path::new("/nowhere"));
    assert!(matches!(error, Err(GpuError::Unavailable(_))), "{error:?}");
}

#[test]
fn bytes_come_back_as_they_went() {
    let Some((device, kernel)) = device() else { return };
    let inner = Arc::clone(&device);
    let other_thread = std::thread::spawn(move || {
        let many: Vec<u8> = (0..MANY_BYTES).map(|i| (i * 7 / 3) as u8).collect();
        let buffer = Buffer::with(&inner, &many).unwrap();
        let mut out = vec![0; many.len()];
        buffer.download(0, &mut out).unwrap();
        assert!(out == many);
        let part = 777..777 + 3 * SLOT_BYTES;
        buffer.download(part.start, &mut out[..part.len()]).unwrap();
        assert!(out[..part.len()] == many[part]);
    });
    other_thread.join().unwrap();

    let mut small = Buffer::zeroed(&device, 5 * NUM_SLOTS).unwrap();
    let mut byte = [0];
    for i in 0..small.num_bytes() {
        byte[0] = i as u8;
        small.upload(i, &byte).unwrap();
        byte[0] = 255;
    }
    add(&*device, kernel, &small, 3);
    let mut out = vec![0; small.num_bytes()];
    small.download(0, &mut out).unwrap();
    assert!(out.iter().enumerate().all(|(i, &byte)| usize::from(byte) == i + 3), "{out:?}");
    small.download(0, &mut []).unwrap();
    device.wait().unwrap();
}

#[test]
fn bytes_that_are_sent_for_come_as_they_were() {
    let Some((device, kernel)) = device() else { return };
    let buffer = Buffer::zeroed(&device, 3 << 20).unwrap();
    let coming: Vec<_> = (0..20)
        .map(|_| {
            let coming = buffer.send_for(1000, 2 << 20).unwrap();
            add(&*device, kernel, &buffer, 1);
            coming
        })
        .collect();
    for (times, coming) in coming.into_iter().enumerate() {
        assert!(coming.wait().unwrap() == vec![times as u8; 2 << 20]);
    }
    // What nobody takes is no harm.
    drop(buffer.send_for(0, 3 << 20).unwrap());
}

#[test]
fn what_was_recorded_is_done_when_it_is_replayed() {
    let Some((device, kernel)) = device() else { return };
    let buffer = Buffer::zeroed(&device, 1000).unwrap();
    let first = |buffer: &Buffer| {
        let mut out = [0];
        buffer.download(0, &mut out).unwrap();
        out[0]
    };
    let both = &mut || {
        add(&*device, kernel, &buffer, 1);
        add(&*device, kernel, &buffer, 10);
        Ok(())
    };
    let recording = device.record(both).unwrap();
    assert_eq!(first(&buffer), 0);
    for times in 1..4 {
        // SAFETY: the buffer is still there.
        unsafe { device.replay(recording) }.unwrap();
        assert_eq!(first(&buffer), times * 11);
    }
    // One that fails leaves nothing behind.
    let failed = device.record(&mut || {
        add(&*device, kernel, &buffer, 100);
        Err(GpuError::Failed("ours".into()))
    });
    assert_eq!(failed, Err(GpuError::Failed("ours".into())));
    add(&*device, kernel, &buffer, 7);
    assert_eq!(first(&buffer), 40);
}

#[test]
fn what_cannot_be_is_refused() {
    let Some((device, kernel)) = device() else { return };
    let num_bytes = 1 << 46;
    assert_eq!(
        device.allocate(num_bytes),
        Err(GpuError::OutOfMemory { num_bytes: Some(num_bytes) })
    );
    let shape = Shape { grid: [1, 1, 1], threads: 1, shared_bytes: 0 };
    let too_long = vec![0; MAX_PARAMETER_BYTES + 1];
    // SAFETY: none of these is launched.
    unsafe {
        assert!(device.launch(kernel, shape, &too_long).is_err());
        assert!(device.launch(Kernel(1), shape, &[]).is_err());
        assert!(device.replay(Recording(0)).is_err());
    }
    device.wait().unwrap();
}

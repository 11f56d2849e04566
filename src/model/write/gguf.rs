//! A GGUF, version 3, written front to back: the header's offsets follow from the plan.
//! (candle's own writer wants every tensor in memory at once.)

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file::{Value, ValueType};

use super::super::{ModelError, WeightType};
use super::{Planned, TensorWriter};

const ALIGNMENT: u64 = 32;

/// A GGUF that is being written.
pub(in super::super) struct GgufWriter {
    path: PathBuf,
    file: BufWriter<File>,
    /// Bytes of the tensor at hand.
    written: u64,
}

impl GgufWriter {
    /// Writes the header.
    pub(in super::super) fn create(path: &Path, header: &[u8]) -> Result<Self, ModelError> {
        let file = File::create(path).map_err(|e| ModelError::write(path, e))?;
        let mut writer = Self {
            path: path.to_owned(),
            file: BufWriter::with_capacity(1 << 20, file),
            written: 0,
        };
        writer.write(header)?;
        writer.end_tensor()?;
        Ok(writer)
    }

    /// Everything before the tensors, less its padding.
    pub(in super::super) fn header(metadata: &[(String, Value)], tensors: &[Planned]) -> Vec<u8> {
        let mut to = Vec::new();
        to.extend(b"GGUF");
        to.extend(3u32.to_le_bytes());
        to.extend((tensors.len() as u64).to_le_bytes());
        to.extend((metadata.len() as u64).to_le_bytes());
        for (key, value) in metadata {
            put_text(&mut to, key);
            to.extend(type_id(value.value_type()).to_le_bytes());
            put_value(&mut to, value);
        }
        let mut offset = 0u64;
        for tensor in tensors {
            put_text(&mut to, &tensor.name);
            to.extend((tensor.shape.len() as u32).to_le_bytes());
            // The fastest dimension first.
            for &dimension in tensor.shape.iter().rev() {
                to.extend((dimension as u64).to_le_bytes());
            }
            to.extend(tensor_type_id(tensor.dtype).to_le_bytes());
            to.extend(offset.to_le_bytes());
            offset += tensor.num_bytes().next_multiple_of(ALIGNMENT);
        }
        to
    }

    /// The whole file's size.
    pub(in super::super) fn size_bytes(header: &[u8], tensors: &[Planned]) -> u64 {
        let padded = |bytes: u64| bytes.next_multiple_of(ALIGNMENT);
        let tensors: u64 = tensors.iter().map(|tensor| padded(tensor.num_bytes())).sum();
        padded(header.len() as u64) + tensors
    }
}

impl TensorWriter for GgufWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<(), ModelError> {
        self.written += bytes.len() as u64;
        self.file.write_all(bytes).map_err(|e| ModelError::write(&self.path, e))
    }

    fn end_tensor(&mut self) -> Result<(), ModelError> {
        let padding = self.written.next_multiple_of(ALIGNMENT) - self.written;
        self.write(&[0; ALIGNMENT as usize][..padding as usize])?;
        self.written = 0;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), ModelError> {
        let Self { path, file, .. } = *self;
        let file = file.into_inner().map_err(|e| ModelError::write(&path, e.error()))?;
        file.sync_all().map_err(|e| ModelError::write(&path, e))
    }
}

fn put_text(to: &mut Vec<u8>, text: &str) {
    to.extend((text.len() as u64).to_le_bytes());
    to.extend(text.as_bytes());
}

fn put_value(to: &mut Vec<u8>, value: &Value) {
    match value {
        Value::U8(x) => to.push(*x),
        Value::I8(x) => to.extend(x.to_le_bytes()),
        Value::U16(x) => to.extend(x.to_le_bytes()),
        Value::I16(x) => to.extend(x.to_le_bytes()),
        Value::U32(x) => to.extend(x.to_le_bytes()),
        Value::I32(x) => to.extend(x.to_le_bytes()),
        Value::U64(x) => to.extend(x.to_le_bytes()),
        Value::I64(x) => to.extend(x.to_le_bytes()),
        Value::F32(x) => to.extend(x.to_le_bytes()),
        Value::F64(x) => to.extend(x.to_le_bytes()),
        Value::Bool(x) => to.push(u8::from(*x)),
        Value::String(text) => put_text(to, text),
        Value::Array(values) => {
            // An empty list has lost its type where it was read.
            let kind = values.first().map_or(ValueType::U32, Value::value_type);
            to.extend(type_id(kind).to_le_bytes());
            to.extend((values.len() as u64).to_le_bytes());
            values.iter().for_each(|value| put_value(to, value));
        }
    }
}

/// ggml's `gguf_type`.
fn type_id(kind: ValueType) -> u32 {
    match kind {
        ValueType::U8 => 0,
        ValueType::I8 => 1,
        ValueType::U16 => 2,
        ValueType::I16 => 3,
        ValueType::U32 => 4,
        ValueType::I32 => 5,
        ValueType::F32 => 6,
        ValueType::Bool => 7,
        ValueType::String => 8,
        ValueType::Array => 9,
        ValueType::U64 => 10,
        ValueType::I64 => 11,
        ValueType::F64 => 12,
    }
}

/// ggml's `ggml_type`.
fn tensor_type_id(dtype: WeightType) -> u32 {
    match dtype {
        WeightType::F32 => 0,
        WeightType::F16 => 1,
        WeightType::Q4_0 => 2,
        WeightType::Q4_1 => 3,
        WeightType::Q5_0 => 6,
        WeightType::Q5_1 => 7,
        WeightType::Q8_0 => 8,
        WeightType::Q8_1 => 9,
        WeightType::Q2K => 10,
        WeightType::Q3K => 11,
        WeightType::Q4K => 12,
        WeightType::Q5K => 13,
        WeightType::Q6K => 14,
        WeightType::Q8K => 15,
        WeightType::BF16 => 30,
    }
}

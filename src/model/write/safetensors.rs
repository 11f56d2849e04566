//! A directory of safetensors as transformers writes it, in parts of five gigabytes.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::super::{ModelError, WeightType};
use super::{Planned, TensorWriter};

const PART_BYTES: u64 = 5_000_000_000;

/// A directory that is being written.
pub(in super::super) struct SafetensorsWriter {
    directory: PathBuf,
    /// The parts that have not begun, the next one last.
    parts: Vec<Part>,
    /// The part at hand, and how many of its tensors are to come.
    open: Option<(PathBuf, BufWriter<File>, usize)>,
}

struct Part {
    name: String,
    header: Vec<u8>,
    num_tensors: usize,
}

impl SafetensorsWriter {
    /// Writes the index of several parts; the parts follow as their tensors come.
    pub(in super::super) fn create(
        directory: &Path,
        tensors: &[Planned],
    ) -> Result<Self, ModelError> {
        let parts = parts(tensors, PART_BYTES);
        let name = |index: usize| match parts.len() {
            1 => "model.safetensors".to_owned(),
            count => format!("model-{:05}-of-{count:05}.safetensors", index + 1),
        };
        if parts.len() > 1 {
            let total: u64 = tensors.iter().map(Planned::num_bytes).sum();
            let names = parts.iter().enumerate();
            let weight_map: Map<String, Value> = names
                .flat_map(|(index, part)| {
                    part.iter().map(move |tensor| (tensor.name.clone(), name(index).into()))
                })
                .collect();
            let index = json!({"metadata": {"total_size": total}, "weight_map": weight_map});
            let path = directory.join("model.safetensors.index.json");
            std::fs::write(&path, format!("{index:#}\n"))
                .map_err(|e| ModelError::write(&path, e))?;
        }
        let parts = parts.iter().enumerate().rev().map(|(index, part)| Part {
            name: name(index),
            header: header(part),
            num_tensors: part.len(),
        });
        Ok(Self { directory: directory.to_owned(), parts: parts.collect(), open: None })
    }

    /// The tensors' and headers' size.
    pub(in super::super) fn size_bytes(tensors: &[Planned]) -> u64 {
        let part = |part: &&[Planned]| {
            let tensors: u64 = part.iter().map(Planned::num_bytes).sum();
            header(part).len() as u64 + tensors
        };
        parts(tensors, PART_BYTES).iter().map(part).sum()
    }

    /// The part that the tensor at hand belongs to.
    fn part(&mut self) -> Result<&mut (PathBuf, BufWriter<File>, usize), ModelError> {
        if self.open.is_none() {
            let part = self.parts.pop().expect("no more tensors come than were planned");
            let path = self.directory.join(&part.name);
            let file = File::create(&path).map_err(|e| ModelError::write(&path, e))?;
            let mut file = BufWriter::with_capacity(1 << 20, file);
            file.write_all(&part.header).map_err(|e| ModelError::write(&path, e))?;
            self.open = Some((path, file, part.num_tensors));
        }
        Ok(self.open.as_mut().expect("it was opened"))
    }
}

impl TensorWriter for SafetensorsWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<(), ModelError> {
        let (path, file, _) = self.part()?;
        file.write_all(bytes).map_err(|e| ModelError::write(path, e))
    }

    fn end_tensor(&mut self) -> Result<(), ModelError> {
        let (_, _, to_come) = self.part()?;
        *to_come -= 1;
        if *to_come > 0 {
            return Ok(());
        }
        let Some((path, file, _)) = self.open.take() else { return Ok(()) };
        let file = file.into_inner().map_err(|e| ModelError::write(&path, e.error()))?;
        file.sync_all().map_err(|e| ModelError::write(&path, e))
    }

    fn finish(self: Box<Self>) -> Result<(), ModelError> {
        debug_assert!(self.parts.is_empty() && self.open.is_none());
        Ok(())
    }
}

/// Tensors by part; none is split.
fn parts(tensors: &[Planned], part_bytes: u64) -> Vec<&[Planned]> {
    let (mut parts, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (index, tensor) in tensors.iter().enumerate() {
        if bytes + tensor.num_bytes() > part_bytes && index > start {
            parts.push(&tensors[start..index]);
            (start, bytes) = (index, 0);
        }
        bytes += tensor.num_bytes();
    }
    parts.push(&tensors[start..]);
    parts
}

fn header(tensors: &[Planned]) -> Vec<u8> {
    let mut entries = Map::new();
    entries.insert("__metadata__".into(), json!({"format": "pt"}));
    let mut offset = 0;
    for tensor in tensors {
        let end = offset + tensor.num_bytes();
        let dtype = match tensor.dtype {
            WeightType::F16 => "F16",
            WeightType::BF16 => "BF16",
            _ => "F32",
        };
        let entry = json!({"dtype": dtype, "shape": tensor.shape, "data_offsets": [offset, end]});
        entries.insert(tensor.name.clone(), entry);
        offset = end;
    }
    let mut text = Value::Object(entries).to_string().into_bytes();
    // Spaces, so that the tensors lie at multiples of eight.
    text.resize(text.len().next_multiple_of(8), b' ');
    [&(text.len() as u64).to_le_bytes()[..], &text].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_no_larger_than_they_may_be() {
        let tensor = |name: &str, rows| Planned {
            weight: None,
            name: name.into(),
            shape: vec![rows, 16],
            dtype: WeightType::BF16,
        };
        let tensors = [tensor("a", 2), tensor("b", 3), tensor("c", 1), tensor("d", 9)];
        let names = |bytes| {
            let parts = parts(&tensors, bytes);
            let names = parts.iter().map(|p| p.iter().map(|t| t.name.as_str()).collect::<String>());
            names.collect::<Vec<_>>()
        };
        assert_eq!(names(10_000), ["abcd"]);
        assert_eq!(names(160), ["ab", "c", "d"]);
        assert_eq!(names(64), ["a", "b", "c", "d"]);
    }
}

//! Which type each tensor of a merged model gets: llama.cpp's rules.

use std::fmt;
use std::str::FromStr;

use super::super::WeightType;
use super::super::weights::Weight;

/// In which form a merged model is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MergeType {
    /// Half precision.
    F16,
    /// The upper half of single precision.
    Bf16,
    /// Eight bits and a scale for each 32.
    Q8_0,
    /// Six bits, scales within scales.
    Q6K,
    /// Four bits, with six where they tell most.
    Q4KM,
    /// Four bits and a scale for each 32.
    Q4_0,
}

impl MergeType {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::F16, Self::Bf16, Self::Q8_0, Self::Q6K, Self::Q4KM, Self::Q4_0];

    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Q8_0 => "q8_0",
            Self::Q6K => "q6_k",
            Self::Q4KM => "q4_k_m",
            Self::Q4_0 => "q4_0",
        }
    }

    /// Whether safetensors can hold it.
    pub fn is_half_precision(self) -> bool {
        matches!(self, Self::F16 | Self::Bf16)
    }

    /// llama.cpp's number for it, GGUF's `general.file_type`.
    pub(super) fn file_type(self) -> u32 {
        match self {
            Self::F16 => 1,
            Self::Q4_0 => 2,
            Self::Q8_0 => 7,
            Self::Q4KM => 15,
            Self::Q6K => 18,
            Self::Bf16 => 32,
        }
    }

    /// The type of most matrices.
    pub(in super::super) fn main(self) -> WeightType {
        match self {
            Self::F16 => WeightType::F16,
            Self::Bf16 => WeightType::BF16,
            Self::Q8_0 => WeightType::Q8_0,
            Self::Q6K => WeightType::Q6K,
            Self::Q4KM => WeightType::Q4K,
            Self::Q4_0 => WeightType::Q4_0,
        }
    }

    /// The type of a weight in a GGUF; the embedding is the output too where there is no
    /// other.
    pub(in super::super) fn in_gguf(
        self,
        weight: Weight,
        num_columns: usize,
        num_layers: usize,
        tied_embeddings: bool,
    ) -> WeightType {
        if weight.is_norm() {
            return WeightType::F32;
        }
        let is_output = match weight {
            Weight::Output => true,
            Weight::TokenEmbedding => tied_embeddings,
            _ => false,
        };
        let wanted = match (self, weight) {
            (Self::Q4KM | Self::Q4_0 | Self::Q6K, _) if is_output => WeightType::Q6K,
            (Self::Q4KM, Weight::Value(layer) | Weight::Down(layer))
                if has_more_bits(layer, num_layers) =>
            {
                WeightType::Q6K
            }
            _ => self.main(),
        };
        if num_columns.is_multiple_of(wanted.block_size()) {
            return wanted;
        }
        // Rows that are no whole blocks of 256.
        let smaller = match wanted {
            WeightType::Q4K => WeightType::Q5_0,
            WeightType::Q6K => WeightType::Q8_0,
            _ => WeightType::F16,
        };
        match num_columns.is_multiple_of(smaller.block_size()) {
            true => smaller,
            false => WeightType::F16,
        }
    }
}

/// The first and the last eighth of the layers, and every third between.
fn has_more_bits(layer: usize, num_layers: usize) -> bool {
    let eighth = num_layers / 8;
    layer < eighth || layer >= 7 * num_layers / 8 || (layer - eighth) % 3 == 2
}

impl fmt::Display for MergeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for MergeType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(text));
        found.ok_or_else(|| format!("one of {}", Self::ALL.map(Self::name).join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `llama-quantize` lays out a model of 32 layers and 4096 columns.
    #[test]
    fn four_bits_are_mixed_as_llama_cpp_mixes_them() {
        let of = |weight| MergeType::Q4KM.in_gguf(weight, 4096, 32, false);
        let large: Vec<_> = (0..32).filter(|&l| of(Weight::Down(l)) == WeightType::Q6K).collect();
        assert_eq!(large, [0, 1, 2, 3, 6, 9, 12, 15, 18, 21, 24, 27, 28, 29, 30, 31]);
        assert!((0..32).all(|l| of(Weight::Value(l)) == of(Weight::Down(l))));
        assert_eq!(of(Weight::Output), WeightType::Q6K);
        assert_eq!(of(Weight::TokenEmbedding), WeightType::Q4K);
        assert_eq!(of(Weight::Query(0)), WeightType::Q4K);
        assert_eq!(of(Weight::OutputNorm), WeightType::F32);
        let tied = MergeType::Q4_0.in_gguf(Weight::TokenEmbedding, 4096, 32, true);
        assert_eq!(tied, WeightType::Q6K);
    }

    #[test]
    fn rows_that_are_no_whole_blocks_get_other_types() {
        let of = |kind: MergeType, columns| kind.in_gguf(Weight::Query(9), columns, 32, false);
        assert_eq!(of(MergeType::Q4KM, 576), WeightType::Q5_0);
        assert_eq!(of(MergeType::Q6K, 576), WeightType::Q8_0);
        assert_eq!(of(MergeType::Q4KM, 40), WeightType::F16);
        assert_eq!(of(MergeType::Q8_0, 40), WeightType::F16);
    }

    #[test]
    fn names_are_read_back() {
        for kind in MergeType::ALL {
            assert_eq!(kind.name().to_uppercase().parse(), Ok(kind));
        }
        assert!("q5_1".parse::<MergeType>().unwrap_err().contains("q4_k_m"));
    }
}

//! [`FileType`]: the type of each tensor of a file.
//!
//! The mixes of types are those of llama.cpp (`llama_tensor_get_type` in `llama-quant.cpp`, without
//! importance matrix and experts), and so are the types it falls back to where rows are not whole
//! blocks.

use crate::Type;

/// The mix of types in a file, `general.file_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names are those of the format
pub enum FileType {
    F32,
    F16,
    Bf16,
    Q8_0,
    Q6K,
    Q5KM,
    Q5KS,
    Q5_1,
    Q5_0,
    Q4KM,
    Q4KS,
    Q4_1,
    Q4_0,
    Q3KL,
    Q3KM,
    Q3KS,
    Q2K,
}

/// Properties of a model that the choice of types depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ModelTraits {
    /// Number of blocks.
    pub layers: usize,
    /// Query heads per key head.
    pub group: usize,
    /// Whether the head is the embedding.
    pub tied: bool,
    /// Whether llama.cpp takes it for a "70B".
    pub is_70b: bool,
}

/// The type a tensor gets, and the type it would have if its rows were whole blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub ty: Type,
    pub wanted: Type,
}

impl FileType {
    /// All of them, the most precise first.
    pub const ALL: &'static [Self] = &[
        Self::F32,
        Self::F16,
        Self::Bf16,
        Self::Q8_0,
        Self::Q6K,
        Self::Q5KM,
        Self::Q5KS,
        Self::Q5_1,
        Self::Q5_0,
        Self::Q4KM,
        Self::Q4KS,
        Self::Q4_1,
        Self::Q4_0,
        Self::Q3KL,
        Self::Q3KM,
        Self::Q3KS,
        Self::Q2K,
    ];

    /// Its name, its number in the format, and the type of most tensors.
    fn row(self) -> (&'static str, u32, Type) {
        match self {
            Self::F32 => ("f32", 0, Type::F32),
            Self::F16 => ("f16", 1, Type::F16),
            Self::Bf16 => ("bf16", 32, Type::Bf16),
            Self::Q8_0 => ("q8_0", 7, Type::Q8_0),
            Self::Q6K => ("q6_k", 18, Type::Q6K),
            Self::Q5KM => ("q5_k_m", 17, Type::Q5K),
            Self::Q5KS => ("q5_k_s", 16, Type::Q5K),
            Self::Q5_1 => ("q5_1", 9, Type::Q5_1),
            Self::Q5_0 => ("q5_0", 8, Type::Q5_0),
            Self::Q4KM => ("q4_k_m", 15, Type::Q4K),
            Self::Q4KS => ("q4_k_s", 14, Type::Q4K),
            Self::Q4_1 => ("q4_1", 3, Type::Q4_1),
            Self::Q4_0 => ("q4_0", 2, Type::Q4_0),
            Self::Q3KL => ("q3_k_l", 13, Type::Q3K),
            Self::Q3KM => ("q3_k_m", 12, Type::Q3K),
            Self::Q3KS => ("q3_k_s", 11, Type::Q3K),
            Self::Q2K => ("q2_k", 10, Type::Q2K),
        }
    }

    /// Its name, which `FromStr` reads.
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// Its number in the format.
    pub(crate) fn number(self) -> u32 {
        self.row().1
    }

    /// The type of tensor `name` of `shape`.
    pub(crate) fn choose(self, name: &str, shape: &[usize], model: ModelTraits) -> Chosen {
        let whole = |ty| Chosen { ty, wanted: ty };
        let [_, columns] = shape else { return whole(Type::F32) };
        let (_, _, usual) = self.row();
        if !usual.is_quantised() {
            return whole(usual);
        }
        if name == "output.weight" || (model.tied && name == "token_embd.weight") {
            let wanted = if usual == Type::Q8_0 { Type::Q8_0 } else { Type::Q6K };
            let fills = columns.is_multiple_of(usual.block());
            return fall_back(wanted, if fills { wanted } else { Type::Q8_0 }, *columns);
        }
        let wanted = self.in_block(name, model).unwrap_or(usual);
        fall_back(wanted, wanted, *columns)
    }

    /// The type of a matrix of a block, where it differs from that of most tensors.
    fn in_block(self, name: &str, model: ModelTraits) -> Option<Type> {
        let (block, part) = name.strip_prefix("blk.")?.split_once('.')?;
        let (block, layers): (usize, usize) = (block.parse().ok()?, model.layers);
        // The first and the last eighth of the blocks, and every third between them.
        let is_fine =
            block < layers / 8 || block >= 7 * layers / 8 || (block - layers / 8) % 3 == 2;
        match part {
            "attn_v.weight" | "attn_qkv.weight" => {
                let ty = match self {
                    Self::Q2K if model.group >= 4 => Some(Type::Q4K),
                    Self::Q2K => Some(Type::Q3K),
                    Self::Q3KM if block < 2 => Some(Type::Q5K),
                    Self::Q3KM => Some(Type::Q4K),
                    Self::Q3KL => Some(Type::Q5K),
                    Self::Q4KS if block < 4 => Some(Type::Q5K),
                    Self::Q4KM | Self::Q5KM if is_fine => Some(Type::Q6K),
                    _ => None,
                };
                let coarse = matches!(ty.unwrap_or(self.row().2), Type::Q3K | Type::Q4K);
                if model.is_70b && coarse { Some(Type::Q5K) } else { ty }
            }
            "ffn_down.weight" => match self {
                Self::Q2K => Some(Type::Q3K),
                Self::Q3KM if block < layers / 16 => Some(Type::Q5K),
                Self::Q3KM => Some(Type::Q4K),
                Self::Q3KL => Some(Type::Q5K),
                Self::Q4KS if block < layers / 8 => Some(Type::Q5K),
                Self::Q4KM | Self::Q5KM if is_fine => Some(Type::Q6K),
                _ => None,
            },
            "attn_output.weight" => match self {
                Self::Q2K => Some(Type::Q3K),
                Self::Q3KM => Some(Type::Q4K),
                Self::Q3KL => Some(Type::Q5K),
                _ => None,
            },
            _ => None,
        }
    }
}

/// `ty`, or its replacement where rows of `columns` values are not whole blocks.
fn fall_back(wanted: Type, ty: Type, columns: usize) -> Chosen {
    let fits = |ty: Type| columns.is_multiple_of(ty.block());
    let smaller = match ty {
        _ if fits(ty) => ty,
        Type::Q2K | Type::Q3K => Type::Q4_0,
        Type::Q4K => Type::Q5_0,
        Type::Q5K => Type::Q5_1,
        Type::Q6K => Type::Q8_0,
        Type::F32 | Type::F16 | Type::Bf16 => ty,
        Type::Q8_0 | Type::Q4_0 | Type::Q4_1 | Type::Q5_0 | Type::Q5_1 => Type::F16,
    };
    Chosen { ty: if fits(smaller) { smaller } else { Type::F16 }, wanted }
}

impl std::str::FromStr for FileType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.to_lowercase();
        // Abbreviations that llama.cpp's quantiser accepts.
        let text = match text.as_str() {
            "q3_k" | "q4_k" | "q5_k" => format!("{text}_m"),
            _ => text,
        };
        let found = Self::ALL.iter().find(|file_type| file_type.name() == text);
        found.copied().ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|file_type| file_type.name()).collect();
            format!("one of {} is needed", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: ModelTraits = ModelTraits { layers: 32, group: 1, tied: false, is_70b: false };

    fn chosen(file_type: FileType, name: &str, columns: usize) -> Type {
        file_type.choose(name, &[8, columns], MODEL).ty
    }

    #[test]
    fn names_are_read_back() {
        for file_type in FileType::ALL {
            assert_eq!(file_type.name().parse(), Ok(*file_type));
        }
        assert_eq!("Q4_K".parse(), Ok(FileType::Q4KM));
        assert!("q4_k_l".parse::<FileType>().unwrap_err().contains("q4_k_m"));
    }

    #[test]
    fn vectors_are_not_quantised() {
        let chosen = FileType::Q4KM.choose("output_norm.weight", &[256], MODEL);
        assert_eq!(chosen, Chosen { ty: Type::F32, wanted: Type::F32 });
    }

    #[test]
    fn the_mix_of_a_7b_model() {
        let fine: Vec<usize> = (0..32)
            .filter(|i| {
                chosen(FileType::Q4KM, &format!("blk.{i}.ffn_down.weight"), 256) == Type::Q6K
            })
            .collect();
        assert_eq!(fine, [0, 1, 2, 3, 6, 9, 12, 15, 18, 21, 24, 27, 28, 29, 30, 31]);
        for (file_type, name, ty) in [
            (FileType::Q4KM, "output.weight", Type::Q6K),
            (FileType::Q4KM, "token_embd.weight", Type::Q4K),
            (FileType::Q4KM, "blk.4.attn_v.weight", Type::Q4K),
            (FileType::Q4KM, "blk.6.attn_qkv.weight", Type::Q6K),
            (FileType::Q4KS, "blk.3.attn_v.weight", Type::Q5K),
            (FileType::Q4KS, "blk.4.ffn_down.weight", Type::Q4K),
            (FileType::Q3KM, "blk.1.ffn_down.weight", Type::Q5K),
            (FileType::Q3KL, "blk.9.attn_output.weight", Type::Q5K),
            (FileType::Q2K, "blk.9.attn_v.weight", Type::Q3K),
            (FileType::Q8_0, "output.weight", Type::Q8_0),
            (FileType::Q4_0, "output.weight", Type::Q6K),
        ] {
            assert_eq!(chosen(file_type, name, 4096), ty, "{file_type:?} {name}");
        }
        let tied = ModelTraits { tied: true, ..MODEL };
        assert_eq!(FileType::Q4KM.choose("token_embd.weight", &[8, 256], tied).ty, Type::Q6K);
        let large = ModelTraits { is_70b: true, layers: 80, group: 8, ..MODEL };
        let name = "blk.11.attn_v.weight";
        assert_eq!(FileType::Q4KS.choose(name, &[8, 256], large).ty, Type::Q5K);
    }

    #[test]
    fn rows_that_are_not_whole_blocks_fall_back() {
        for (file_type, name, columns, ty) in [
            (FileType::Q4KM, "blk.4.ffn_up.weight", 96, Type::Q5_0),
            (FileType::Q4KM, "blk.6.ffn_down.weight", 96, Type::Q8_0),
            (FileType::Q5KS, "blk.4.ffn_up.weight", 96, Type::Q5_1),
            (FileType::Q2K, "blk.4.ffn_up.weight", 96, Type::Q4_0),
            (FileType::Q4KM, "output.weight", 96, Type::Q8_0),
            (FileType::Q4_0, "output.weight", 96, Type::Q8_0),
            (FileType::Q4KM, "blk.4.ffn_up.weight", 340, Type::F16),
            (FileType::Q8_0, "blk.4.ffn_up.weight", 341, Type::F16),
            (FileType::F16, "blk.4.ffn_up.weight", 341, Type::F16),
        ] {
            let chosen = file_type.choose(name, &[8, columns], MODEL);
            assert_eq!(chosen.ty, ty, "{file_type:?} {name} {columns}");
            assert_eq!(chosen.ty != chosen.wanted, file_type != FileType::F16);
        }
    }
}

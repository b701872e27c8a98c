//! The modules of an adapter, by the names and shapes of its tensors. Spellings: PEFT `tuners/{lora,loha,lokr,ia3,oft,vera}`, kohya-ss
//! `networks/lora.py`, LyCORIS `modules/{loha,lokr}.py`, diffusers `loaders/lora_conversion_utils.py`, mlx-lm `tuner/lora.py`, llama.cpp
//! `convert_lora_to_gguf.py`.

use std::collections::BTreeMap;

use crate::dtype::Dtype;
use crate::format::{Container, Format};

/// A part of a module's adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    /// The matrix next to the inputs, [rank, inputs].
    Down,
    /// The matrix next to the outputs, [outputs, rank].
    Up,
    /// The first factor of a Hadamard or Kronecker product, [outputs, rank].
    Left,
    /// The second, [rank, inputs].
    Right,
    /// A factor that is stored whole, or the middle of a convolution.
    Whole,
    /// The strength of a module.
    Alpha,
    /// The magnitudes of DoRA.
    Magnitude,
    /// A part of a kind without ranks.
    Ranked(&'static str),
}

/// Ends of names, what they are, and the kind of adapter that has them. `*` stands for the name of an adapter, as PEFT may keep it.
const ENDS: &[(&str, Piece, &str)] = &[
    (".lora_A.weight", Piece::Down, "lora"),
    (".lora_B.weight", Piece::Up, "lora"),
    (".lora_A.*.weight", Piece::Down, "lora"),
    (".lora_B.*.weight", Piece::Up, "lora"),
    (".lora_A.*", Piece::Down, "lora"),
    (".lora_B.*", Piece::Up, "lora"),
    (".lora_A", Piece::Down, "lora"),
    (".lora_B", Piece::Up, "lora"),
    (".lora_embedding_A.*", Piece::Down, "lora"),
    (".lora_embedding_B.*", Piece::Up, "lora"),
    (".lora_embedding_A", Piece::Down, "lora"),
    (".lora_embedding_B", Piece::Up, "lora"),
    (".lora_a.weight", Piece::Down, "lora"),
    (".lora_b.weight", Piece::Up, "lora"),
    (".weight.lora_a", Piece::Down, "lora"),
    (".weight.lora_b", Piece::Up, "lora"),
    (".lora_down.weight", Piece::Down, "lora"),
    (".lora_up.weight", Piece::Up, "lora"),
    (".lora_mid.weight", Piece::Whole, "lora"),
    (".lora.down.weight", Piece::Down, "lora"),
    (".lora.up.weight", Piece::Up, "lora"),
    (".lora_linear_layer.down.weight", Piece::Down, "lora"),
    (".lora_linear_layer.up.weight", Piece::Up, "lora"),
    ("_lora.down.weight", Piece::Down, "lora"),
    ("_lora.up.weight", Piece::Up, "lora"),
    ("_lora1.down.weight", Piece::Down, "lora"),
    ("_lora1.up.weight", Piece::Up, "lora"),
    ("_lora2.down.weight", Piece::Down, "lora"),
    ("_lora2.up.weight", Piece::Up, "lora"),
    (".hada_w1_a", Piece::Left, "loha"),
    (".hada_w1_b", Piece::Right, "loha"),
    (".hada_w2_a", Piece::Left, "loha"),
    (".hada_w2_b", Piece::Right, "loha"),
    (".hada_t1", Piece::Whole, "loha"),
    (".hada_t2", Piece::Whole, "loha"),
    (".lokr_w1", Piece::Whole, "lokr"),
    (".lokr_w1_a", Piece::Left, "lokr"),
    (".lokr_w1_b", Piece::Right, "lokr"),
    (".lokr_w2", Piece::Whole, "lokr"),
    (".lokr_w2_a", Piece::Left, "lokr"),
    (".lokr_w2_b", Piece::Right, "lokr"),
    (".lokr_t2", Piece::Whole, "lokr"),
    (".dora_scale", Piece::Magnitude, "lora"),
    (".lora_magnitude_vector", Piece::Magnitude, "lora"),
    (".lora_magnitude_vector.weight", Piece::Magnitude, "lora"),
    (".lora_magnitude_vector.*", Piece::Magnitude, "lora"),
    (".lora_magnitude_vector.*.weight", Piece::Magnitude, "lora"),
    (".alpha", Piece::Alpha, "lora"),
    (".ia3_l", Piece::Ranked("ia3"), "ia3"),
    (".ia3_l.*", Piece::Ranked("ia3"), "ia3"),
    (".oft_r", Piece::Ranked("oft"), "oft"),
    (".oft_r.*", Piece::Ranked("oft"), "oft"),
    (".oft_blocks", Piece::Ranked("oft"), "oft"),
    (".vera_lambda_b", Piece::Ranked("vera"), "vera"),
    (".vera_lambda_d", Piece::Ranked("vera"), "vera"),
];

/// Pieces between which the name of an adapter may stand.
const MARKS: &[&str] = &["lora", "hada_", "lokr_", "dora_scale", "alpha", "ia3_l", "oft_", "vera_"];

/// The module, piece and kind that a name is of.
pub(super) fn part_of(name: &str) -> Option<(&str, Piece, &'static str)> {
    // Nearly every other name has none of them.
    if !MARKS.iter().any(|mark| name.contains(mark)) {
        return None;
    }
    ENDS.iter().find_map(|&(end, piece, kind)| Some((strip(name, end)?, piece, kind)))
}

/// A name without an end; `*` in it stands for one piece of the name.
fn strip<'n>(name: &'n str, end: &str) -> Option<&'n str> {
    let Some((before, after)) = end.split_once('*') else { return name.strip_suffix(end) };
    let (rest, own) = name.strip_suffix(after)?.rsplit_once('.')?;
    (!own.is_empty()).then(|| rest.strip_suffix(before.trim_end_matches('.')))?
}

/// Whether a tensor of an adapter is a module's alpha, which is no weight.
pub(in crate::checkpoint) fn is_alpha(name: &str, elements: u64) -> bool {
    elements == 1 && name.ends_with(".alpha")
}

/// The adapter of one module.
#[derive(Debug, Clone, Default)]
pub(super) struct Module {
    /// By the matrix next to the inputs, or the other where that is missing.
    pub(super) rank: Option<u64>,
    down: Option<u64>,
    up: Option<u64>,
    /// File and place of its alpha.
    pub(super) alpha: Option<(usize, usize)>,
}

impl Module {
    /// Whether one of two matrices is missing.
    pub(super) fn is_half(&self) -> bool {
        self.down.is_some() != self.up.is_some()
    }

    /// Whether the two matrices have different ranks.
    pub(super) fn is_uneven(&self) -> bool {
        matches!((self.down, self.up), (Some(down), Some(up)) if down != up)
    }

    fn settle(&mut self) {
        self.rank = self.down.filter(|_| self.up.is_some());
    }
}

/// All modules by name.
#[derive(Debug, Default)]
pub(super) struct Modules {
    pub(super) modules: BTreeMap<String, Module>,
    pub(super) has_magnitudes: bool,
    kinds: BTreeMap<&'static str, u64>,
}

impl Modules {
    /// Takes in the tensors of a file.
    pub(super) fn add(&mut self, file: usize, container: &Container) {
        for (index, tensor) in container.tensors.iter().enumerate() {
            let name = container.name(tensor);
            let turned = name.ends_with(".lora_a") || name.ends_with(".lora_b");
            // mlx-lm: `lora_a` [inputs, rank] and `lora_b` [rank, outputs] of a module, not of its weight.
            let mlx = turned && container.format == Format::Safetensors && !name.contains(".weight.lora_");
            let part = if mlx {
                let piece = if name.ends_with("a") { Piece::Down } else { Piece::Up };
                name.rsplit_once('.').map(|(module, _)| (module, piece, "lora"))
            } else {
                part_of(&name)
            };
            let Some((module, piece, kind)) = part else { continue };
            if piece == Piece::Alpha && tensor.elements != 1 {
                continue;
            }
            let module = self.modules.entry(module.to_owned()).or_default();
            let (first, second, last) = (tensor.shape.first(), tensor.shape.get(1), tensor.shape.last());
            match piece {
                Piece::Down => module.down = if mlx { last.copied() } else { first.copied() }.filter(|_| tensor.shape.len() > 1),
                Piece::Up => module.up = if mlx { first.copied() } else { second.copied() }.filter(|_| tensor.shape.len() > 1),
                Piece::Left => module.up = second.copied(),
                Piece::Right => module.down = first.copied().filter(|_| tensor.shape.len() > 1),
                Piece::Alpha => module.alpha = Some((file, index)),
                Piece::Magnitude => self.has_magnitudes = true,
                Piece::Whole | Piece::Ranked(_) => {}
            }
            if !matches!(piece, Piece::Alpha | Piece::Magnitude) {
                *self.kinds.entry(kind).or_default() += 1;
            }
            module.settle();
        }
        // An alpha by itself is no module.
        self.modules.retain(|_, module| {
            module.alpha.is_none() || module.down.is_some() || module.up.is_some() || !self.kinds.contains_key("lora")
        });
    }

    /// The kind that most of its tensors are of.
    pub(super) fn kind(&self) -> &'static str {
        self.kinds.iter().max_by_key(|(_, count)| **count).map_or("other", |(kind, _)| kind)
    }

    /// What the modules are called, without the path to them.
    pub(super) fn targets(&self, most: usize) -> Vec<String> {
        let mut out: Vec<String> = Vec::new();
        for module in self.modules.keys() {
            let name = target(module);
            if out.len() < most && !out.iter().any(|known| known == name) {
                out.push(name.to_owned());
            }
        }
        out
    }
}

/// The last word of a path: the last of its pieces that is no number, or what follows the last number where kohya-ss joined the path by
/// underscores.
fn target(module: &str) -> &str {
    let module = module.strip_suffix(".processor").unwrap_or(module);
    let is_number = |piece: &&str| !piece.is_empty() && piece.bytes().all(|b| b.is_ascii_digit());
    if let Some((path, last)) = module.rsplit_once('.') {
        // `to_out.0` is called by both.
        return if is_number(&last) {
            path.rsplit_once('.').map_or(module, |(before, _)| &module[before.len() + 1..])
        } else {
            last
        };
    }
    let mut at = 0;
    let mut start = 0;
    for piece in module.split('_') {
        at += piece.len() + 1;
        if is_number(&piece) && at < module.len() {
            start = at;
        }
    }
    &module[start..]
}

/// The value of one float.
pub(super) fn float(dtype: Dtype, bytes: &[u8; 8]) -> Option<f64> {
    let half = u16::from_le_bytes([bytes[0], bytes[1]]);
    let word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    Some(match dtype {
        Dtype::F64 => f64::from_le_bytes(*bytes),
        Dtype::F32 => f64::from(f32::from_bits(word)),
        Dtype::BF16 => f64::from(f32::from_bits(u32::from(half) << 16)),
        Dtype::F16 => half_float(half),
        Dtype::I64 => i64::from_le_bytes(*bytes) as f64,
        Dtype::I32 => f64::from(word.cast_signed()),
        _ => return None,
    })
}

/// IEEE 754 binary16.
fn half_float(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1F), f64::from(bits & 0x3FF));
    sign * match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * 2f64.powi(exponent - 25),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_writer() {
        for (name, module, piece) in [
            (
                "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight",
                "base_model.model.model.layers.0.self_attn.q_proj",
                Piece::Down,
            ),
            ("model.layers.0.q_proj.lora_B.default.weight", "model.layers.0.q_proj", Piece::Up),
            ("embed_tokens.lora_embedding_A", "embed_tokens", Piece::Down),
            ("lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight", "lora_unet_double_blocks_0_img_attn_qkv", Piece::Down),
            ("lora_te1_text_model.alpha", "lora_te1_text_model", Piece::Alpha),
            (
                "unet.mid_block.attentions.0.processor.to_q_lora.down.weight",
                "unet.mid_block.attentions.0.processor.to_q",
                Piece::Down,
            ),
            ("unet.to_k.lora.up.weight", "unet.to_k", Piece::Up),
            ("double_blocks.0.processor.qkv_lora1.up.weight", "double_blocks.0.processor.qkv", Piece::Up),
            ("blk.0.attn_q.weight.lora_a", "blk.0.attn_q", Piece::Down),
            ("lycoris_blocks_0.hada_w1_b", "lycoris_blocks_0", Piece::Right),
            ("lycoris_blocks_0.lokr_w1", "lycoris_blocks_0", Piece::Whole),
            ("q_proj.lora_magnitude_vector.default.weight", "q_proj", Piece::Magnitude),
        ] {
            let found = part_of(name).map(|(module, piece, _)| (module, piece));
            assert_eq!(found, Some((module, piece)), "{name}");
        }
        for name in ["model.layers.0.self_attn.q_proj.weight", "lora.weight", "alpha", "colora_A.weight"] {
            assert!(part_of(name).is_none(), "{name}");
        }
    }

    #[test]
    fn targets_are_the_last_words() {
        for (module, name) in [
            ("base_model.model.layers.0.self_attn.q_proj", "q_proj"),
            ("blocks.3.attn.to_out.0", "to_out.0"),
            ("lora_unet_double_blocks_12_img_attn_qkv", "img_attn_qkv"),
            ("lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_out_0", "attn1_to_out_0"),
            ("blk.0.attn_q", "attn_q"),
        ] {
            assert_eq!(target(module), name);
        }
    }

    #[test]
    fn halves_are_read() {
        for (bits, value) in [(0x4800, 8.0), (0x3C00, 1.0), (0xC000, -2.0), (0x0001, 2f64.powi(-24)), (0x3800, 0.5)] {
            assert_eq!(half_float(bits), value);
        }
        assert_eq!(float(Dtype::BF16, &[0x00, 0x41, 0, 0, 0, 0, 0, 0]), Some(8.0));
    }
}

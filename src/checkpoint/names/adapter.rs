//! Low-rank adapters: PEFT, diffusers, kohya and LyCORIS spellings.

use super::segments::Segments;

/// Pieces that only adapters have. PEFT ([`crate::pins::PEFT`]) `tuners/lora` (`lora_A`, `lora_B`, `lora_embedding_A`,
/// `lora_magnitude_vector`), `tuners/ia3`, prompt tuning; diffusers and kohya-ss (`lora_up`, `lora_down`, `alpha` under a kohya
/// prefix); LyCORIS (`hada_*`, `lokr_*`).
const PIECES: &[&str] = &[
    "lora_A",
    "lora_B",
    "lora_embedding_A",
    "lora_embedding_B",
    "lora_magnitude_vector",
    "lora_up",
    "lora_down",
    "lora_mid",
    "lora_linear_layer",
    "lora",
    "lora_a",
    "lora_b",
    "dora_scale",
    "ia3_l",
    "prompt_embeddings",
    "vera_A",
    "vera_B",
    "vera_lambda_b",
    "vera_lambda_d",
    "oft_r",
    "oft_blocks",
];

/// First pieces of kohya-ss and LyCORIS files, where the module path is joined by underscores.
const PREFIXES: &[&str] = &["lora_unet_", "lora_te_", "lora_te1_", "lora_te2_", "lora_te3_", "lora_transformer_", "lycoris_"];

/// Beginnings of the last piece in LyCORIS files.
const LEAF_STARTS: &[&str] = &["hada_w", "hada_t", "lokr_w", "lokr_t"];

pub(super) fn is_adapter(segments: &Segments<'_>) -> bool {
    let Some(first) = segments.all().first() else { return false };
    // Every adapter piece is rare: a look at its first letters saves the table walk for ordinary names.
    PREFIXES.iter().any(|prefix| first.starts_with(prefix))
        || segments.all().iter().any(|piece| may_be_piece(piece) && PIECES.contains(piece))
        || segments.all().windows(2).any(|pair| is_attention_processor(pair[0], pair[1]))
        || LEAF_STARTS.iter().any(|start| segments.leaf().starts_with(start))
}

/// Attention processors of diffusers and XLabs: `to_q_lora.down`, `qkv_lora1.up`.
fn is_attention_processor(module: &str, side: &str) -> bool {
    matches!(side, "down" | "up") && ["_lora", "_lora1", "_lora2"].iter().any(|end| module.ends_with(end))
}

fn may_be_piece(piece: &str) -> bool {
    matches!(piece.as_bytes(), [b'l', b'o', b'r', b'a', ..] | [b'd', b'o', b'r', b'a', ..] | [b'v', b'e', b'r', b'a', ..])
        || matches!(
            piece.as_bytes(),
            [b'i', b'a', b'3', ..] | [b'p', b'r', b'o', b'm', b'p', b't', ..] | [b'o', b'f', b't', b'_', ..]
        )
}

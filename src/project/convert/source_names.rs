//! Names under which each family's tensors are read, and which tensors are left out. Source: `filter_tensors` of each class.

/// Beginnings of the names of tensors of other towers.
const OTHER_STARTS: [&str; 10] = [
    "mlp",
    "vit.",
    "vpm.",
    "siglip2.",
    "conformer.",
    "merger.",
    "resampler.",
    "sound_encoder.",
    "sound_projection.",
    "speech_embeddings.",
];

/// Parts of the names of tensors of other towers.
const OTHER_PARTS: [&str; 17] = [
    "visual.",
    "vision.",
    "audio.",
    "talker.",
    "vision_",
    "audio_",
    "token2wav.",
    "code2wav.",
    "projector.",
    "pre_mm_projector_norm",
    "image_newline",
    "view_seperator",
    "patch_embed",
    "patch_merger.",
    "patch_merge_mlp.",
    "model.connector.",
    "speech_embeddings.",
];

/// What every family does to names: other towers are left out, one prefix is taken away.
pub(super) fn text_name(name: &str) -> Option<String> {
    if OTHER_STARTS.iter().any(|s| name.starts_with(s)) || OTHER_PARTS.iter().any(|p| name.contains(p)) {
        return None;
    }
    let mut name = name.to_owned();
    if name.ends_with("e_score_correction_bias") {
        name = name.replace("e_score_correction_bias", "e_score_correction.bias");
    }
    Some(name.replace("language_model.", ""))
}

pub(super) fn same_name(name: &str) -> Option<String> {
    text_name(&name.replace("text_model.", ""))
}

pub(super) fn without_head(name: &str) -> Option<String> {
    if name == "lm_head.weight" { None } else { text_name(name) }
}

pub(super) fn bert_name(name: &str) -> Option<String> {
    let name = name.strip_prefix("bert.").unwrap_or(name);
    let name = match (name.strip_suffix(".gamma"), name.strip_suffix(".beta")) {
        (Some(stem), _) => format!("{stem}.weight"),
        (_, Some(stem)) => format!("{stem}.bias"),
        _ => name.to_owned(),
    };
    let dropped = matches!(name.as_str(), "embeddings.position_ids" | "pooler.dense.weight" | "pooler.dense.bias")
        || name.starts_with("cls.predictions")
        || name.starts_with("cls.seq_relationship");
    if dropped { None } else { text_name(&name) }
}

pub(super) fn gpt_oss_name(name: &str) -> Option<String> {
    text_name(&if name.contains("sinks") { format!("{name}.weight") } else { name.to_owned() })
}

/// The names of BLOOM stand in the converter's table without their prefix.
pub(super) fn bloom_name(name: &str) -> Option<String> {
    text_name(&name.replace("transformer.", ""))
}

pub(super) fn ernie_name(name: &str) -> Option<String> {
    text_name(&name.replace("ernie.", "model."))
}

pub(super) fn thinker_name(name: &str) -> Option<String> {
    text_name(&name.replace("thinker.", ""))
}

pub(super) fn distil_name(name: &str) -> Option<String> {
    let name = name.strip_prefix("distilbert.").unwrap_or(name);
    if name.starts_with("vocab_") { None } else { bert_name(name) }
}

pub(super) fn roberta_name(name: &str) -> Option<String> {
    bert_name(name.strip_prefix("roberta.").unwrap_or(name))
}

pub(super) fn modern_bert_name(name: &str) -> Option<String> {
    bert_name(name.strip_prefix("model.").unwrap_or(name))
}

pub(super) fn mamba2_name(name: &str) -> Option<String> {
    let name = match name.strip_prefix("model.") {
        Some(rest) if rest.starts_with("backbone") || rest.starts_with("lm_head") => rest,
        _ => name,
    };
    text_name(&name.strip_suffix(".dt_bias").map_or(name.to_owned(), |stem| format!("{stem}.dt_proj.bias")))
}

//! Output heads that share the input embedding under a name of their own: a trait of classes, many of whose families have no row.

/// Classes of transformers ([`crate::pins::TRANSFORMERS`]) and the module of their head.
const BY_CLASS: &[(&str, &str)] = &[
    ("BioGptForCausalLM", "output_projection"),
    ("GteForMaskedLM", "lm_head.decoder"),
    ("ModernBertForMaskedLM", "decoder"),
    ("NomicBertForMaskedLM", "cls.predictions.decoder"),
    ("TrOCRForCausalLM", "output_projection"),
    ("WhisperForCausalLM", "proj_out"),
    ("WhisperForConditionalGeneration", "proj_out"),
    ("XLMWithLMHeadModel", "pred_layer.proj"),
];

/// The module of the head of a class; `None` where the class has `lm_head`, or a head that its tensors give away.
pub fn module(class: &str) -> Option<&'static str> {
    BY_CLASS.iter().find(|(of, _)| *of == class).map(|(_, module)| *module)
}

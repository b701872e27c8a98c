//! The checks: a file each, and a row each in [`CHECKS`].

mod adapters;
mod archives;
mod attention_shape;
mod block_scales;
mod budget;
mod chat_template;
mod config_json;
mod constant_matrix;
mod content;
mod copies;
mod declared_size;
mod draft_vocabulary;
mod dtype_claim;
mod dead_expert;
mod declared_tensors;
mod empty_tensor;
mod extent;
mod f16_overflow;
mod gguf_keys;
mod hash_mismatch;
mod header_form;
mod index;
mod layer_count;
mod links;
mod listing;
mod loaders;
mod missing;
mod hostile_names;
mod numbering;
mod params_json;
mod pickles;
mod placement;
mod provenance;
mod quantization;
mod remote_code;
mod scale_out_of_range;
mod tied_embeddings;
mod uneven_layer;
mod unread;
mod values;
mod vocabulary_size;
mod wrapped_names;
mod zero_vector;

use super::check::Check;
use super::finding::Code;

pub(crate) use budget::is_unanswered;
pub(crate) use unread::{failed_reads, is_unreadable};

/// Every check, in the order in which they look. Those that step back where a file has an error already stand last.
pub const CHECKS: &[&Check] = &[
    &unread::CHECK,
    &content::CHECK,
    &missing::CHECK,
    &extent::CHECK,
    &declared_size::CHECK,
    &placement::CHECK,
    &header_form::CHECK,
    &hostile_names::CHECK,
    &index::CHECK,
    &numbering::CHECK,
    &copies::CHECK,
    &links::CHECK,
    &listing::CHECK,
    &hash_mismatch::CHECK,
    &config_json::CHECK,
    &params_json::CHECK,
    &layer_count::CHECK,
    &declared_tensors::CHECK,
    &uneven_layer::CHECK,
    &empty_tensor::CHECK,
    &wrapped_names::CHECK,
    &attention_shape::CHECK,
    &vocabulary_size::CHECK,
    &tied_embeddings::CHECK,
    &draft_vocabulary::CHECK,
    &adapters::CHECK,
    &dtype_claim::CHECK,
    &quantization::CHECK,
    &gguf_keys::CHECK,
    &loaders::CHECK,
    &pickles::CHECK,
    &archives::CHECK,
    &remote_code::CHECK,
    &chat_template::CHECK,
    &provenance::CHECK,
    &values::CHECK,
    &constant_matrix::CHECK,
    &zero_vector::CHECK,
    &dead_expert::CHECK,
    &block_scales::CHECK,
    &scale_out_of_range::CHECK,
    &f16_overflow::CHECK,
    &budget::CHECK,
];

/// Every code, in the order of the checks.
pub fn codes() -> impl Iterator<Item = &'static Code> {
    CHECKS.iter().flat_map(|check| check.codes)
}

/// The row of a code.
pub fn find(code: &str) -> Option<&'static Code> {
    codes().find(|row| row.code == code)
}

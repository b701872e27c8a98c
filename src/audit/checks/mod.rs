//! The checks: a file each, and a row each in [`CHECKS`].

mod archives;
mod attention;
mod block_scales;
mod budget;
mod chat_template;
mod config_json;
mod constant;
mod content;
mod copies;
mod declared_size;
mod dtype_claim;
mod experts;
mod extent;
mod f16_range;
mod gguf_keys;
mod hashes;
mod header_form;
mod index;
mod layers;
mod links;
mod loaders;
mod missing;
mod names;
mod numbering;
mod pickles;
mod placement;
mod provenance;
mod quantization;
mod remote_code;
mod scale_values;
mod tied;
mod unread;
mod values;
mod vocabulary;
mod zero_bias;

use super::finding::{Code, Findings};
use super::subject::Subject;

pub(crate) use budget::is_unanswered;
pub(crate) use unread::{failed_reads, is_unreadable};

/// A check: the codes it may give, and how it looks.
pub struct Check {
    /// The file it stands in.
    pub name: &'static str,
    /// What it may find.
    pub codes: &'static [Code],
    /// Looks.
    pub(crate) run: fn(&Subject<'_>, &mut Findings),
}

/// Every check, in the order in which they look. Those that step back where a file has an error already stand last.
pub const CHECKS: &[&Check] = &[
    &unread::CHECK,
    &content::CHECK,
    &missing::CHECK,
    &extent::CHECK,
    &declared_size::CHECK,
    &placement::CHECK,
    &header_form::CHECK,
    &names::CHECK,
    &index::CHECK,
    &numbering::CHECK,
    &copies::CHECK,
    &links::CHECK,
    &hashes::CHECK,
    &config_json::CHECK,
    &layers::CHECK,
    &attention::CHECK,
    &vocabulary::CHECK,
    &tied::CHECK,
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
    &constant::CHECK,
    &zero_bias::CHECK,
    &experts::CHECK,
    &block_scales::CHECK,
    &scale_values::CHECK,
    &f16_range::CHECK,
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

/// A row.
const fn code(code: &'static str, title: &'static str, severity: super::Severity, explanation: &'static str) -> Code {
    Code { code, title, severity, explanation }
}

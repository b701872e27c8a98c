//! Names of routed experts: as files are published, and as transformers 5 holds them, under which some quantizers write them.

use std::borrow::Cow;

use crate::families::by_model_type;
use crate::families::family::ExpertNames;

/// Block and projections as published, and as transformers holds them.
const BLOCK: (&str, &str) = (".block_sparse_moe", ".mlp");
const PROJECTIONS: [(&str, &str); 3] = [(".w1.", ".gate_proj."), (".w2.", ".down_proj."), (".w3.", ".up_proj.")];

fn differ(model_type: &str) -> bool {
    by_model_type(model_type).is_some_and(|row| row.expert_names == ExpertNames::BlockSparseMoe)
}

/// The name under which transformers 5 holds the block of a tensor.
pub(super) fn held<'n>(model_type: &str, name: &'n str) -> Cow<'n, str> {
    if differ(model_type) { Cow::Owned(name.replace(BLOCK.0, BLOCK.1)) } else { Cow::Borrowed(name) }
}

/// The name under which a tensor is published.
pub(super) fn published<'a>(model_type: &str, name: Cow<'a, str>) -> Cow<'a, str> {
    if !differ(model_type) {
        return name;
    }
    let (published, held) = BLOCK;
    let parts = [".experts.", ".gate."].map(|part| (format!("{held}{part}"), format!("{published}{part}")));
    let block = parts.iter().fold(name.into_owned(), |name, (from, to)| name.replace(from, to));
    if !block.contains(".experts.") {
        return Cow::Owned(block);
    }
    Cow::Owned(PROJECTIONS.iter().fold(block, |name, (published, held)| name.replace(held, published)))
}

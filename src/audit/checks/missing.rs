//! What should be there and is not.

use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::Error as Bad;
use crate::audit::finding::{Code, Findings};
use crate::audit::subject::Subject;

pub(super) const NOTHING: Code = code(
    "nothing-to-read",
    "No checkpoint in the folder",
    Bad,
    "The folder holds no file of a format that is read (safetensors, GGUF), so nothing was weighed. Other weight files are named but never \
     loaded. Give the folder that holds the weights, or convert them.",
);
pub(super) const SHARD: Code = code(
    "missing-shard",
    "A shard is missing",
    Bad,
    "A shard index, or the numbering of the files beside it, promises a file that is not there. Engines notice it only when they come to it, after reading \
     all shards before. Fetch the file that is named.",
);

pub(super) const CHECK: Check = Check { name: "missing", codes: &[NOTHING, SHARD], run };

/// Both are told by opening, and become findings with the other problems.
fn run(_: &Subject<'_>, _: &mut Findings) {}

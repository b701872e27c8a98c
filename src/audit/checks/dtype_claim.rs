//! The dtype that is claimed against the dtypes that are stored.

use std::collections::BTreeMap;

use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::Note;
use crate::audit::finding::{Code, Finding, Findings};
use crate::audit::subject::Subject;
use crate::audit::tensors::main_tensors;
use crate::checkpoint::Part;
use crate::format::Format;
use crate::text::escape_limited;

const CLAIM: Code = code(
    "dtype-claim",
    "The stated dtype is not the stored one",
    Note,
    "`torch_dtype` in config.json, or `general.file_type` of a GGUF file, names a type that most weights (or none) are stored in. Tools that estimate memory from the claim \
     are wrong by the ratio of the two.",
);

pub(super) const CHECK: Check = Check { name: "dtype_claim", codes: &[CLAIM], run };

/// Names of config.json and the dtype they mean.
const NAMES: &[(&str, &str)] = &[
    ("float32", "F32"),
    ("float", "F32"),
    ("float16", "F16"),
    ("half", "F16"),
    ("bfloat16", "BF16"),
    ("float64", "F64"),
    ("float8_e4m3fn", "F8_E4M3"),
];

/// `general.file_type` of llama.cpp (enum llama_ftype), those with one main type.
const FILE_TYPES: &[(u64, &str)] = &[
    (0, "F32"),
    (1, "F16"),
    (2, "Q4_0"),
    (3, "Q4_1"),
    (7, "Q8_0"),
    (8, "Q5_0"),
    (9, "Q5_1"),
    (10, "Q2_K"),
    (11, "Q3_K"),
    (12, "Q3_K"),
    (13, "Q3_K"),
    (14, "Q4_K"),
    (15, "Q4_K"),
    (16, "Q5_K"),
    (17, "Q5_K"),
    (18, "Q6_K"),
    (25, "IQ4_NL"),
    (30, "IQ4_XS"),
    (32, "BF16"),
];

fn run(subject: &Subject<'_>, out: &mut Findings) {
    let Some(checkpoint) = subject.checkpoint else { return };
    let mut bytes: BTreeMap<&str, u64> = BTreeMap::new();
    for tensor in main_tensors(checkpoint).filter(|t| t.part == Part::Weight) {
        let sum = bytes.entry(tensor.dtype_name()).or_default();
        *sum = sum.saturating_add(tensor.info.bytes);
    }
    let Some((&most, _)) = bytes.iter().max_by_key(|(_, n)| **n) else { return };
    let origin = checkpoint.model.origin.clone().unwrap_or_default();
    if checkpoint.format() == Some(Format::Gguf) {
        let first = checkpoint.selected_files().first().map(|&i| &checkpoint.files[i].container);
        let stated = first.and_then(|c| c.metadata.count("general.file_type"));
        let name = stated.and_then(|n| FILE_TYPES.iter().find(|(id, _)| *id == n)).map(|(_, name)| *name);
        if let (Some(id), Some(name)) = (stated, name.filter(|name| !bytes.contains_key(name))) {
            let message = format!(
                "general.file_type is {id} ({name}), but no tensor is stored in {name}; most are in {}",
                escape_limited(most, 20)
            );
            out.push(Finding::new(&CLAIM, message).file(origin).tensor("general.file_type"));
        }
        return;
    }
    // Packed weights are of another dtype than the one they are computed in.
    if checkpoint.quantization.is_some() {
        return;
    }
    let stated = checkpoint.model.stated_dtype.as_deref();
    let Some((name, dtype)) = stated.and_then(|s| NAMES.iter().find(|(name, _)| *name == s.trim_start_matches("torch."))) else {
        return;
    };
    if *dtype != most {
        let message = format!("the configuration states {name}; most weights are stored in {}", escape_limited(most, 20));
        out.push(Finding::new(&CLAIM, message).file(origin).tensor("torch_dtype"));
    }
}

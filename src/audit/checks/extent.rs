//! Whether the data section is there, whole, and nothing else is in it.

use crate::audit::check::{Check, code};
use crate::audit::defects::push_defects;
use crate::audit::finding::Severity::{Error as Bad, Warning};
use crate::audit::finding::{Code, Findings};
use crate::audit::subject::Subject;
use crate::format::{DefectKind, Format};

pub(super) const TRUNCATED: Code = code(
    "truncated",
    "The file ends too early",
    Bad,
    "The header promises more bytes than the file has: an interrupted download or a full disk. The message says how many are missing and which tensors \
     are cut off. Fetch the file again.",
);
const TRAILING: Code = code(
    "trailing-bytes",
    "Bytes after the last tensor",
    Bad,
    "Bytes follow the last tensor that belong to nothing. The safetensors format forbids them, as a second file (a zip, a script) can hide there; GGUF readers \
     ignore them, so there it is a warning. Find out what they are, or convert the file again.",
);
const GAP: Code = code(
    "gap",
    "Bytes between tensors that belong to none",
    Bad,
    "A hole in the data section. The safetensors format forbids holes; llama.cpp refuses a GGUF file with one, other readers take it, so there it is a \
     warning. Data can hide in a hole. Write the file again with the format's own tools.",
);
const OVERLAP: Code = code(
    "overlap",
    "Two tensors share bytes",
    Bad,
    "Two tensors claim the same bytes. No writer of either format does that; a crafted file can claim far more than it holds this way. Do not load it.",
);

pub(super) const CHECK: Check = Check { name: "extent", codes: &[TRUNCATED, TRAILING, GAP, OVERLAP], run };

fn run(subject: &Subject<'_>, out: &mut Findings) {
    for (file, container) in subject.containers() {
        for (kind, row) in [
            (DefectKind::Truncated, TRUNCATED),
            (DefectKind::TrailingBytes, TRAILING),
            (DefectKind::Gap, GAP),
            (DefectKind::Overlap, OVERLAP),
        ] {
            let gguf = container.format == Format::Gguf;
            let milder = gguf && matches!(kind, DefectKind::TrailingBytes | DefectKind::Gap);
            push_defects(out, file, container, kind, &row, |finding, _| if milder { finding.severity(Warning) } else { finding });
        }
    }
}

//! Whether dtype, shape and place of a tensor agree.

use crate::audit::check::{Check, code};
use crate::audit::defects::push_defects;
use crate::audit::finding::Severity::{Error as Bad, Warning};
use crate::audit::finding::{Code, Finding, Findings};
use crate::audit::subject::Subject;
use crate::format::{DefectKind, Format};

const SIZE: Code = code(
    "size-mismatch",
    "Shape and bytes of a tensor disagree",
    Bad,
    "The bytes that the header gives a tensor are not what its shape and dtype take. Readers refuse the file, or read beside the tensor. The message \
     gives both figures. Convert the model again.",
);
const OVERFLOW: Code = code(
    "shape-overflow",
    "Dimensions whose product does not fit 64 bits",
    Bad,
    "Such shapes are made to wrap around in readers that do not check the multiplication, so that a small allocation is written with a large one's data. No \
     real tensor comes near it. Do not load the file.",
);
const PARTIAL: Code = code(
    "partial-block",
    "Elements do not fill whole blocks",
    Bad,
    "Block-quantized rows must hold whole blocks, and sub-byte elements must fill whole bytes. Readers refuse the file. Convert the model again.",
);
const DTYPE: Code = code(
    "unknown-dtype",
    "An element type in no table",
    Bad,
    "The dtype (or ggml type number) is not defined, was removed, or is newer than this tool. The tensor's bytes are taken from its offsets; its \
     values are not known. Today's loaders refuse the file.",
);
const ZERO: Code = code(
    "zero-dimension",
    "A dimension of 0 where readers differ",
    Warning,
    "A tensor without elements. safetensors allows it, but readers differ when the other dimensions would overflow; ggml readers divided by zero at it until \
     2026. Checkpoints have no use for it.",
);

pub(super) const CHECK: Check = Check { name: "declared_size", codes: &[SIZE, OVERFLOW, PARTIAL, DTYPE, ZERO], run };

fn run(subject: &Subject<'_>, out: &mut Findings) {
    for (file, container) in subject.containers() {
        for (kind, row) in [
            (DefectKind::SizeMismatch, SIZE),
            (DefectKind::ShapeOverflow, OVERFLOW),
            (DefectKind::PartialBlock, PARTIAL),
            (DefectKind::UnknownDtype, DTYPE),
        ] {
            push_defects(out, file, container, kind, &row, |finding, _| finding);
        }
        let odd = container.tensors.iter().filter(|t| {
            t.shape.contains(&0)
                && (container.format == Format::Gguf
                    || t.shape.iter().filter(|d| **d != 0).try_fold(1u64, |n, d| n.checked_mul(*d)).is_none())
        });
        out.push_many(odd.map(|t| {
            let message = format!("a dimension of 0 in the shape {:?}, at which readers differ", t.shape.as_slice());
            Finding::new(&ZERO, message).file(file).tensor(container.name(t))
        }));
    }
}

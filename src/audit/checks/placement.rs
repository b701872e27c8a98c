//! Where tensors lie: alignment and order.

use crate::audit::check::{Check, code};
use crate::audit::defects::push_defects;
use crate::audit::finding::Severity::{Error as Bad, Note, Warning};
use crate::audit::finding::{Code, Finding, Findings};
use crate::audit::subject::Subject;
use crate::dtype::DtypeKind;
use crate::format::{Container, DefectKind, Format, TensorInfo};

const MISALIGNED: Code = code(
    "misaligned",
    "A tensor off the alignment the file states",
    Bad,
    "GGUF tensors begin at multiples of the alignment; llama.cpp refuses the file otherwise. Write it again with llama.cpp's or gguf-py's tools.",
);
const UNALIGNED: Code = code(
    "unaligned-data",
    "Tensor data at odd addresses",
    Warning,
    "The data of a tensor does not begin at a multiple of its element size: the header was not padded to 8 bytes, or tensors of small types stand before large \
     ones. The format allows it, and readers copy instead of mapping. Saving the file again with current safetensors aligns it.",
);
const UNORDERED: Code = code(
    "unordered",
    "Tensor data not in the order of the header",
    Warning,
    "llama.cpp wants GGUF data in the order of the tensor infos and refuses the file; gguf-py reads it. Write it again.",
);
const ALIGNMENT: Code = code(
    "alignment-not-32",
    "A GGUF alignment other than 32",
    Note,
    "llama.cpp loads the file, but `llama-quantize` pads to 32 whatever the file states and writes one that cannot be loaded. Convert with the default \
     alignment if you mean to requantize.",
);
const ALIGNMENT_ODD: Code = code(
    "alignment-odd",
    "A GGUF alignment outside the specification",
    Warning,
    "The specification asks for a multiple of 8; more than 64 KiB is larger than any page and only wastes space. Readers differ in what they take.",
);

pub(super) const CHECK: Check =
    Check { name: "placement", codes: &[MISALIGNED, UNALIGNED, UNORDERED, ALIGNMENT, ALIGNMENT_ODD], run };

fn run(subject: &Subject<'_>, out: &mut Findings) {
    for (file, container) in subject.containers() {
        push_defects(out, file, container, DefectKind::Misaligned, &MISALIGNED, |finding, _| finding);
        push_defects(out, file, container, DefectKind::Unordered, &UNORDERED, |finding, _| finding);
        match container.format {
            Format::Safetensors => unaligned(file, container, out),
            Format::Gguf => alignment(file, container.layout.alignment, out),
        }
    }
}

/// At odd addresses nothing but bytes can be mapped: a warning. Off by less, or of pairs (complex numbers): a note.
fn unaligned(file: &str, container: &Container, out: &mut Findings) {
    let size =
        |t: &TensorInfo| t.dtype.info().filter(|row| row.elements_per_block == 1).map_or(1, |row| row.bytes_per_block.max(1));
    let is_odd = |t: &&TensorInfo| t.offset % 2 == 1 && t.dtype.info().is_some_and(|row| row.kind != DtypeKind::Complex);
    let mut all = container.tensors.iter().filter(|t| t.bytes > 0 && t.offset % size(t).min(8) != 0);
    let Some(first) = all.clone().find(is_odd).or_else(|| all.next()) else { return };
    let count = container.tensors.iter().filter(|t| t.bytes > 0 && t.offset % size(t).min(8) != 0).count();
    let why = if container.layout.data_start.is_multiple_of(8) {
        "tensors of smaller types stand before it"
    } else {
        "the header is not padded to 8 bytes"
    };
    let others = if count > 1 { format!(", nor is that of {} more tensors", count - 1) } else { String::new() };
    let message = format!("the data is not aligned to its element size of {} bytes{others}: {why}", size(first));
    let finding = Finding::new(&UNALIGNED, message).file(file).tensor(container.name(first)).offset(Some(first.offset));
    out.push(if is_odd(&first) { finding } else { finding.severity(Note) });
}

fn alignment(file: &str, alignment: u64, out: &mut Findings) {
    let finding = if !alignment.is_multiple_of(8) || alignment > 64 * 1024 {
        Finding::new(
            &ALIGNMENT_ODD,
            format!("general.alignment is {alignment}; the specification asks for a multiple of 8, and 32 is usual"),
        )
    } else if alignment != 32 {
        Finding::new(
            &ALIGNMENT,
            format!("general.alignment is {alignment}: `llama-quantize` would write a file from it that cannot be loaded"),
        )
    } else {
        return;
    };
    out.push(finding.file(file).tensor("general.alignment"));
}

//! What the values tell, where they were scanned.

use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::{Note, Warning};
use crate::audit::finding::{Code, Finding, Findings};
use crate::audit::subject::Subject;
use crate::audit::tensors::is_long;
use crate::checkpoint::{Checkpoint, Part};
use crate::dtype::Dtype;
use crate::error::Result;
use crate::source::{FileSource, read_exact_at};
use crate::units::grouped;

const NAN: Code = code(
    "nan-values",
    "Values that are not a number",
    Warning,
    "A tensor holds NaN. One such weight turns every result that passes it into NaN. The training diverged, or a conversion overflowed.",
);
const INF: Code = code(
    "infinite-values",
    "Infinite values",
    Warning,
    "A tensor holds infinite values: mostly an overflow in a conversion to F16. Some masks are stored as -Inf on purpose.",
);
const BOOL: Code = code(
    "bool-values",
    "BOOL bytes other than 0 and 1",
    Warning,
    "A BOOL tensor holds other bytes than 0 and 1. What they mean depends on the program; for some it is undefined behaviour.",
);
const ZERO: Code = code(
    "all-zero",
    "A matrix of zeros",
    Warning,
    "Every value of a matrix (or of a tensor of a million values) is zero: a download whose data never came, a failed conversion, or weights that were never trained. \
     Biases and other short vectors of zeros are usual: see `zero-vector`.",
);
const SKIPPED: Code = code(
    "not-scanned",
    "A tensor whose values were not scanned",
    Note,
    "The values were asked for, and those of this tensor could not be read or are of a type without a decoder. Nothing is said about them.",
);

pub(super) const CHECK: Check = Check { name: "values", codes: &[NAN, INF, BOOL, ZERO, SKIPPED], run };

fn run(subject: &Subject<'_>, out: &mut Findings) {
    let (Some(checkpoint), Some((selection, outcome))) = (subject.checkpoint, subject.values) else { return };
    let tensors: Vec<_> = checkpoint.tensors().collect();
    let mut found: [Vec<Finding>; 4] = Default::default();
    for (file, order) in outcome.files.iter().zip(&selection.order) {
        if let Some(error) = &file.error {
            subject.failed(error.clone());
            continue;
        }
        for (tensor, &index) in file.tensors.iter().zip(order) {
            let view = &tensors[index];
            let at = |row: &Code, message: String| {
                Finding::new(row, message)
                    .file(&checkpoint.files[view.file].name)
                    .tensor(view.name())
                    .offset(Some(view.info.offset))
            };
            let Some(stats) = &tensor.stats else {
                let why = tensor.skipped.map_or("unknown", |s| s.word());
                found[3].push(at(&SKIPPED, format!("not scanned ({why})")));
                continue;
            };
            let of = grouped(stats.elements);
            if stats.nan > 0 {
                found[0].push(at(&NAN, format!("{} of {of} values are NaN", grouped(stats.nan))));
            }
            let infinite = stats.pos_inf + stats.neg_inf;
            if infinite > 0 {
                let message =
                    format!("{} of {of} values are infinite ({} +Inf, {} -Inf)", grouped(infinite), stats.pos_inf, stats.neg_inf);
                found[1].push(at(&INF, message));
            }
            if stats.all_zero() && is_long(view, stats) && view.part != Part::Buffer {
                found[2].push(at(&ZERO, format!("all {of} values are zero")));
            }
        }
    }
    for findings in found {
        out.push_many(findings);
    }
    booleans(subject, checkpoint, out);
}

/// The scan takes every byte but 0 for true, so these are looked at here.
fn booleans(subject: &Subject<'_>, checkpoint: &Checkpoint, out: &mut Findings) {
    let odd = checkpoint.tensors().filter(|t| t.info.dtype == Dtype::BOOL).filter_map(|tensor| {
        let file = &checkpoint.files[tensor.file];
        let count = subject.look(&file.path, |source| odd_bytes(source, tensor.info.offset, tensor.info.bytes))?;
        (count > 0).then(|| {
            let message = format!("{} BOOL bytes are neither 0 nor 1", grouped(count));
            Finding::new(&BOOL, message).file(&file.name).tensor(tensor.name()).offset(Some(tensor.info.offset))
        })
    });
    out.push_many(odd.collect::<Vec<_>>());
}

fn odd_bytes(source: &FileSource, offset: u64, bytes: u64) -> Result<u64> {
    let mut buffer = vec![0; 256 * 1024];
    let (mut done, mut odd) = (0u64, 0u64);
    while done < bytes {
        let want = usize::try_from(bytes - done).unwrap_or(usize::MAX).min(buffer.len());
        read_exact_at(source, offset.saturating_add(done), &mut buffer[..want])?;
        odd += buffer[..want].iter().filter(|b| **b > 1).count() as u64;
        done += want as u64;
    }
    Ok(odd)
}

//! A shard index against the shards it describes.

use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::{Error as Bad, Warning};
use crate::audit::finding::{Code, Finding, Findings};
use crate::audit::subject::Subject;
use crate::checkpoint::{Checkpoint, IndexCheck, IndexedTensor, ShardIndex, ShardName, StatedTotal, Tally, check_index};
use crate::error::ErrorKind;
use crate::text::escape_limited;
use crate::units::grouped;

pub(super) const INVALID: Code = code(
    "index-invalid",
    "A shard index that cannot be read",
    Bad,
    "The index is no JSON, has no `weight_map`, or breaks a bound. Without it nobody can tell which shard holds which tensor. Fetch it again.",
);
const MISSING: Code = code(
    "index-tensor-missing",
    "The index names tensors that are in no shard",
    Bad,
    "Loading fails, or leaves these weights at random values, which some loaders only warn about. The shards and the index are not of one save.",
);
const ELSEWHERE: Code = code(
    "index-tensor-elsewhere",
    "A tensor is in another shard than the index says",
    Warning,
    "Loaders that open the shard the index names do not find the tensor. The index is not of this save.",
);
const UNNAMED: Code = code(
    "index-tensor-unnamed",
    "A shard holds tensors that the index does not name",
    Warning,
    "Loaders that go by the index never see these tensors; those that read whole shards do. The index is not of this save, or data is hidden.",
);
const TWICE: Code = code(
    "tensor-in-two-shards",
    "A tensor stands in two shards",
    Warning,
    "Which copy is loaded depends on the loader; where dtypes or shapes differ, results do too. Save the model again.",
);
const NAMED_TWICE: Code = code(
    "index-duplicate-key",
    "The index names a tensor twice",
    Warning,
    "A duplicate key in `weight_map`: Python keeps the last one, other parsers the first. Make the index again.",
);
const TOTAL: Code = code(
    "index-total",
    "The index states a total that is not that of its shards",
    Warning,
    "`total_size` (bytes) or `total_parameters` is not what the shards hold, or is no number. Tools that show it or plan memory by it are wrong by the difference.",
);
pub(super) const BOM: Code = code(
    "byte-order-mark",
    "A byte order mark before JSON",
    Warning,
    "JSON text must not begin with a byte order mark; Python's and Rust's parsers stop at it. Save the file without it.",
);
const UNREFERENCED: Code = code(
    "unreferenced-shard",
    "A shard that no index names",
    Warning,
    "A file with the name of a shard lies beside an index that does not name it: a leftover of another save, or an index that is incomplete. It takes space and is \
     not loaded.",
);

const STALE: Code = code(
    "index-of-another-save",
    "A shard index that was left from another save",
    Warning,
    "None of the files that the index names is here, while the modules that it names stand in other files: a quantized or joined copy that kept the index of the model it \
     was made from. Nothing is missing, but loaders that go by the index look for its files. Delete it, or make it again.",
);

pub(super) const CHECK: Check = Check {
    name: "index",
    codes: &[INVALID, STALE, MISSING, ELSEWHERE, UNNAMED, TWICE, NAMED_TWICE, TOTAL, BOM, UNREFERENCED],
    run,
};

fn run(subject: &Subject<'_>, out: &mut Findings) {
    let Some(checkpoint) = subject.checkpoint else { return };
    for index in &checkpoint.indexes {
        let name = subject.name_of(&index.path);
        if index.byte_order_mark {
            out.push(Finding::new(&BOM, "begins with a byte order mark (BOM)").file(&name));
        }
        if index.of_another_save {
            let message =
                format!("none of its {} files is here; the modules it names are in others", grouped(index.files.len() as u64));
            out.push(Finding::new(&STALE, message).file(&name).help("delete it, or make it again"));
            continue;
        }
        match check_index(index, checkpoint) {
            Ok(check) => compared(&name, index, &check, checkpoint, out),
            Err(error) if matches!(error.kind(), ErrorKind::Io | ErrorKind::Changed) => subject.failed(error),
            Err(error) => out.push(Finding::new(&INVALID, error.message()).file(&name)),
        }
        unreferenced(index, checkpoint, out);
    }
}

fn compared(name: &str, index: &ShardIndex, check: &IndexCheck, checkpoint: &Checkpoint, out: &mut Findings) {
    let mut tally = |row: &Code, tally: &Tally, words: &str, show: &dyn Fn(&IndexedTensor) -> String| {
        let Some(first) = tally.first.first() else { return };
        let mut shown: Vec<String> = tally.first.iter().map(show).collect();
        let more = tally.count - tally.first.len() as u64;
        if more > 0 {
            shown.push(format!("and {} more", grouped(more)));
        }
        let count = if tally.count == 1 { "1 tensor".to_owned() } else { format!("{} tensors", grouped(tally.count)) };
        out.push(Finding::new(row, format!("{count} {words}: {}", shown.join(", "))).file(name).tensor(&first.name));
    };
    let tensor = |t: &IndexedTensor| format!("`{}`", escape_limited(&t.name, 60));
    let file = |name: &str| format!("`{}`", escape_limited(name, 60));
    let pair = |t: &IndexedTensor| {
        let remark = t.remark.as_ref().map_or_else(String::new, |r| format!(" ({r})"));
        format!("{} in {} and {}{remark}", tensor(t), file(&t.stated), file(t.actual.as_deref().unwrap_or_default()))
    };
    let stated = |t: &IndexedTensor| format!("{} (in {})", tensor(t), file(&t.stated));
    let both = |t: &IndexedTensor| {
        format!("{} (stated {}, is in {})", tensor(t), file(&t.stated), file(t.actual.as_deref().unwrap_or_default()))
    };
    tally(&MISSING, &check.missing, "named by the index but missing from the shards", &stated);
    tally(&ELSEWHERE, &check.elsewhere, "in another shard than the index says", &both);
    tally(&UNNAMED, &check.unnamed, "in a shard but not in the index", &stated);
    tally(&TWICE, &check.twice, "in two shards (duplicates)", &pair);
    tally(&NAMED_TWICE, &check.named_twice, "named twice in the index (duplicate keys)", &tensor);
    totals(name, index, check, checkpoint, out);
}

fn totals(name: &str, index: &ShardIndex, check: &IndexCheck, checkpoint: &Checkpoint, out: &mut Findings) {
    let complete = check.files_read == index.files.len() as u64;
    if let Some(total) = &index.total_size {
        let wrong = complete && check.twice.count == 0 && total.value.is_some_and(|v| v != check.tensor_bytes);
        if let Some(why) =
            not_a_count(total).or(wrong.then(|| format!("the shards hold {} bytes of tensors", grouped(check.tensor_bytes))))
        {
            out.push(Finding::new(&TOTAL, format!("metadata.total_size is {}; {why}", total.text)).file(name));
        }
    }
    if let Some(total) = &index.total_parameters {
        // Written by transformers as its own count: tied weights once, buffers left out. One per cent covers the ways to count.
        let near = |n: u64| total.value.is_some_and(|v| v.abs_diff(n) <= n / 100);
        let wrong = complete && total.value.is_some() && !near(check.elements) && !near(checkpoint.logical_params());
        let holds = || format!("the shards hold {} elements", grouped(check.elements));
        if let Some(why) = not_a_count(total).or(wrong.then(holds)) {
            out.push(Finding::new(&TOTAL, format!("metadata.total_parameters is {}; {why}", total.text)).file(name));
        }
    }
}

fn not_a_count(total: &StatedTotal) -> Option<String> {
    if total.quoted {
        Some("it is written as text instead of a number".to_owned())
    } else if total.value.is_none() {
        Some("that is no count of 64 bits".to_owned())
    } else {
        None
    }
}

/// Files beside an index that have the name of its shards and are not in it.
fn unreferenced(index: &ShardIndex, checkpoint: &Checkpoint, out: &mut Findings) {
    let folder = index.path.parent();
    let prefixes: std::collections::BTreeSet<&str> =
        index.files.keys().filter_map(|name| ShardName::parse(name)).map(|shard| shard.prefix).collect();
    let stray = checkpoint.listing.files.iter().filter(|file| {
        let Some(base) = file.path.file_name().and_then(|n| n.to_str()) else { return false };
        file.path.parent() == folder
            && !index.files.contains_key(base)
            && ShardName::parse(base).is_some_and(|s| s.extension == "safetensors" && prefixes.contains(s.prefix))
    });
    out.push_many(stray.map(|file| {
        Finding::new(&UNREFERENCED, format!("a shard of {} bytes that the index does not name", grouped(file.bytes)))
            .file(&file.name)
    }));
}

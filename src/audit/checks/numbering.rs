//! What shards say of themselves: numbers in file names, `split.*` keys in GGUF.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::{Error as Bad, Warning};
use crate::audit::finding::{Code, Finding, Findings};
use crate::audit::subject::Subject;
use crate::checkpoint::{CheckpointFile, ShardName};
use crate::format::Format;
use crate::text::escape_limited;

const NUMBERING: Code = code(
    "shard-numbering",
    "Shards disagree on how many there are",
    Warning,
    "The names of shards of one set state different counts (`-of-00002` beside `-of-00003`): files of two saves are mixed. Fetch the set again as a whole.",
);
const SPLIT: Code = code(
    "split-mismatch",
    "The parts of a GGUF set contradict each other",
    Bad,
    "The `split.no`, `split.count` and `split.tensors.count` keys must agree with the file names and with each other, and no tensor may stand in two parts: \
     llama.cpp refuses the set. Split the model again with llama-gguf-split.",
);
const LONE: Code = code(
    "split-incomplete",
    "One part of a GGUF set on its own",
    Warning,
    "The `split.*` keys say that the file is one of several, but it does not bear a part's name, so nobody finds the others: the model is incomplete. Restore the \
     name PREFIX-00001-of-0000N.gguf beside the other parts.",
);

pub(super) const CHECK: Check = Check { name: "numbering", codes: &[NUMBERING, SPLIT, LONE], run };

fn run(subject: &Subject<'_>, out: &mut Findings) {
    let Some(checkpoint) = subject.checkpoint else { return };
    for index in &checkpoint.indexes {
        let mut counts: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for name in index.files.keys() {
            if let Some(shard) = ShardName::parse(name) {
                let count = name.rsplit_once("-of-").map_or("", |(_, count)| count).trim_end_matches(".safetensors");
                counts.entry(shard.prefix).or_default().insert(count.to_owned());
            }
        }
        for (_, counts) in counts.into_iter().filter(|(_, counts)| counts.len() > 1) {
            let shown: Vec<String> = counts.iter().take(4).map(|c| format!("-of-{}", escape_limited(c, 20))).collect();
            let message = format!("the shards it names disagree on their number: {}", shown.join(", "));
            out.push(Finding::new(&NUMBERING, message).file(subject.name_of(&index.path)));
        }
    }
    splits(&checkpoint.files, out);
}

fn splits(files: &[CheckpointFile], out: &mut Findings) {
    let mut sets: BTreeMap<(&str, &str, u64), Vec<&CheckpointFile>> = BTreeMap::new();
    for file in files.iter().filter(|f| f.container.format == Format::Gguf) {
        let (folder, base) = file.name.rsplit_once('/').unwrap_or(("", &file.name));
        match ShardName::parse(base) {
            Some(shard) => sets.entry((folder, shard.prefix, shard.count)).or_default().push(file),
            None => lone(file, out),
        }
    }
    for ((_, _, count), files) in sets {
        set(count, &files, out);
    }
}

fn lone(file: &CheckpointFile, out: &mut Findings) {
    let count = |key: &str| file.container.metadata.count(key);
    let (no, of) = (count("split.no"), count("split.count"));
    if of.is_some_and(|n| n > 1) {
        let (no, of) = (no.unwrap_or(0), of.unwrap_or(0));
        let message = format!("split.no is {no} and split.count is {of}: one part of {of}, without the name of one");
        out.push(Finding::new(&LONE, message).file(&file.name));
    }
}

fn set(count: u64, files: &[&CheckpointFile], out: &mut Findings) {
    let mut names: HashSet<&[u8]> = HashSet::new();
    let mut tensors = 0u64;
    let mut promised: Option<(u64, &str)> = None;
    for file in files {
        let base = file.name.rsplit('/').next().unwrap_or(&file.name);
        let number = ShardName::parse(base).map_or(0, |s| s.number);
        let meta = &file.container.metadata;
        let mut complain = |message: String| out.push(Finding::new(&SPLIT, message).file(&file.name));
        if let Some(no) = meta.count("split.no").filter(|no| no.checked_add(1) != Some(number)) {
            complain(format!("split.no is {no}, but the name says part {number} (counted from 1)"));
        }
        if let Some(stated) = meta.count("split.count").filter(|n| *n != count) {
            complain(format!("split.count is {stated}, but the name says {count} parts"));
        }
        if let Some(n) = meta.count("split.tensors.count") {
            promised.get_or_insert((n, &file.name));
        }
        let container = &file.container;
        let mut doubles = container.tensors.iter().filter(|t| !names.insert(container.name_bytes(t)));
        if let Some(first) = doubles.next() {
            let more = doubles.count();
            let message = format!("a tensor that another part of the split holds too (and {more} more)");
            out.push(Finding::new(&SPLIT, message).file(&file.name).tensor(container.name(first)));
        }
        tensors += container.tensors.len() as u64;
    }
    if let Some((n, file)) = promised.filter(|(n, _)| *n != tensors && files.len() as u64 == count) {
        out.push(Finding::new(&SPLIT, format!("split.tensors.count is {n}, but the parts hold {tensors} tensors")).file(file));
    }
}

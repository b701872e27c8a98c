//! Sets that are not whole by what their files say: parts of a split GGUF, shards beside a set that is whole.

use super::plan::Plan;
use super::{CheckpointFile, Component, WeightSet};
use crate::error::ErrorKind;
use crate::format::Format;
use crate::text::{escape_limited, shown_path};
use crate::units::grouped;

/// What a part of a split GGUF, or a set of some parts, says of the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Split {
    /// Numbers of the parts that are here, counted from 1.
    pub(super) parts: Vec<u64>,
    /// `split.count`: how many there are.
    pub(super) count: u64,
    /// Tensors that are here.
    pub(super) tensors: u64,
    /// `split.tensors.count`: tensors of all parts.
    pub(super) of_tensors: Option<u64>,
}

impl Split {
    /// Of a weight set that has fewer files than its first one promises.
    pub(super) fn of(set: &WeightSet, files: &[CheckpointFile]) -> Option<Self> {
        let containers = || set.files.iter().map(|&i| &files[i].container);
        let count = containers().filter(|c| c.format == Format::Gguf).find_map(|c| c.metadata.count("split.count"))?;
        if count <= set.files.len() as u64 {
            return None;
        }
        let mut parts: Vec<u64> = containers().map(|c| c.metadata.count("split.no").unwrap_or(0).saturating_add(1)).collect();
        parts.sort_unstable();
        Some(Self {
            parts,
            count,
            tensors: containers().map(|c| c.tensors.len() as u64).sum(),
            of_tensors: containers().find_map(|c| c.metadata.count("split.tensors.count")),
        })
    }

    /// In words.
    pub(super) fn reason(&self) -> String {
        let parts = match self.parts.as_slice() {
            [one] => format!("part {one}"),
            several => {
                let shown: Vec<String> = several.iter().take(8).map(u64::to_string).collect();
                let more = if several.len() > 8 { ", ..." } else { "" };
                format!("parts {}{more}", shown.join(", "))
            }
        };
        let of = self.of_tensors.map_or_else(String::new, |n| format!(" of {}", grouped(n)));
        let count = self.count;
        format!("{parts} of {count} of a split GGUF (split.count {count}): {}{of} tensors are here", grouped(self.tensors))
    }
}

/// Where a second GGUF begins behind the tensors of a file: parts that were joined with `cat` instead of `llama-gguf-split --merge`.
fn second_gguf(file: &CheckpointFile) -> Option<u64> {
    let container = &file.container;
    let end = container.tensors.iter().map(|t| t.offset.saturating_add(t.bytes)).max()?;
    if container.format != Format::Gguf || end.saturating_add(24) > container.file_len {
        return None;
    }
    let alignment = container.layout.alignment.max(1);
    let source = file.open().ok()?;
    // Writers pad the last tensor, or do not.
    [end.checked_next_multiple_of(alignment)?, end].into_iter().find(|&at| {
        let mut magic = [0; 4];
        crate::source::read_exact_at(&source, at, &mut magic).is_ok() && &magic == b"GGUF"
    })
}

impl Plan {
    /// Says of the selected sets which parts of a split they are, and of files that a second GGUF follows in them.
    pub(super) fn tell_splits(&mut self, components: &[Component], files: &[CheckpointFile]) {
        for set in components.iter().flat_map(|c| &c.weight_sets).filter(|set| set.selected) {
            let split = Split::of(set, files);
            if let Some(split) = &split {
                let name = set.files.first().map_or("", |&i| files[i].name.as_str());
                self.notes.push(format!("{}: {}; parameters are a lower bound", escape_limited(name, 120), split.reason()));
            }
            for file in set.files.iter().map(|&i| &files[i]) {
                if let Some(at) = second_gguf(file) {
                    self.notes.push(format!(
                        "{}: a second GGUF begins at byte {}, and nothing reads it there: parts of a split are joined with llama-gguf-split --merge, \
                         not with cat",
                        escape_limited(&file.name, 120),
                        grouped(at)
                    ));
                }
            }
        }
    }

    /// Shards that are missing from a set beside another one of the component that is whole: nothing of the model is missing.
    pub(super) fn leave_out_strays(&mut self, components: &[Component], files: &[CheckpointFile]) {
        let (mut kept, mut strays) = (Vec::new(), Vec::new());
        for problem in std::mem::take(&mut self.problems) {
            let of_file = |set: &&WeightSet| set.files.iter().any(|&i| Some(files[i].path.as_path()) == problem.path());
            let set = components.iter().flat_map(|c| &c.weight_sets).find(of_file);
            let stray = problem.kind() == ErrorKind::MissingShard && set.is_some_and(|set| !set.selected && set.against.is_some());
            // Parts under other names that were joined by what they say of themselves.
            let whole = |set: &WeightSet| {
                let count = set.files.first().and_then(|&i| files[i].container.metadata.count("split.count"));
                count.is_some_and(|count| count == set.files.len() as u64)
            };
            let joined = problem.kind() == ErrorKind::MissingShard && set.is_some_and(whole);
            if stray {
                strays.push(problem);
            } else if !joined {
                kept.push(problem);
            }
        }
        self.problems = kept;
        self.notes.extend(strays.iter().map(|problem| {
            let name = problem.path().and_then(std::path::Path::file_name).map(|name| shown_path(std::path::Path::new(name)));
            let name = name.unwrap_or_default();
            format!("{name}: {}; another set is whole and is taken", problem.message())
        }));
    }
}

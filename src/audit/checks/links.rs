//! Paths and links that lead elsewhere.

use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::{Error as Bad, Note, Warning};
use crate::audit::finding::{Code, Finding, Findings};
use crate::audit::subject::Subject;
use crate::checkpoint::PassedBy;

pub(super) const OUTSIDE: Code = code(
    "leads-outside",
    "A link or index entry that leads out of the folder",
    Warning,
    "A link, or a file name in a shard index, points outside the folder (links of a snapshot into the blobs of the same hub cache, and of these into the store that its \
     repositories share, are fine). A loader that follows it reads a file of your machine as if it were the model's. It was not opened. In an index it is an error.",
);
pub(super) const BROKEN: Code = code(
    "link-broken",
    "A link whose target is not there",
    Bad,
    "Mostly a hub cache whose blob was deleted or not fetched. Download the file again.",
);
pub(super) const LOOP: Code = code(
    "link-loop",
    "A link that leads back to itself",
    Warning,
    "The link can never be opened. Programs that walk folders without care hang at it. Remove it.",
);
const FOLDER: Code = code(
    "link-to-folder",
    "A link to a folder",
    Warning,
    "A linked folder can lead in a circle, and was not looked into. Hub caches link files only. Give the folder itself if it is meant.",
);
const NAMED: Code = code(
    "folder-named-as-file",
    "A folder with the name of a weight file",
    Warning,
    "A folder is called like a checkpoint file. Loaders that look for the ending try to open it and fail. Rename it, or fetch the file that belongs there.",
);
const DEEP: Code = code(
    "folder-too-deep",
    "A folder too deep to look into",
    Warning,
    "Folders are nested deeper than is looked at (see the table of limits). What is below was not audited.",
);

const TOOL: Code = code(
    "skipped-folder",
    "A folder that was not looked into",
    Note,
    "The folders `.git`, `.cache`, `__pycache__` and `.ipynb_checkpoints` are those of tools and hold no model files: what is in them was not looked at. Where a shard \
     index names a file in one, a loader opens it all the same, and it is a warning.",
);

pub(super) const CHECK: Check = Check { name: "links", codes: &[OUTSIDE, BROKEN, LOOP, FOLDER, NAMED, DEEP, TOOL], run };

fn run(subject: &Subject<'_>, out: &mut Findings) {
    let Some(checkpoint) = subject.checkpoint else { return };
    let findings = checkpoint.listing.passed_by.iter().map(|(why, path)| {
        let name = subject.name_of(path);
        let (row, message) = match why {
            PassedBy::ToolFolder if subject.is_indexed_below(&name) => (
                Code { severity: Warning, ..TOOL },
                "an index names a file in it, and it was not looked into: loaders open that file",
            ),
            PassedBy::ToolFolder => (TOOL, "a folder of a tool; what is in it was not looked at"),
            PassedBy::LinkedFolder => (FOLDER, "a link to a folder (it could be a loop); it is not followed"),
            PassedBy::FolderNamedAsFile => (NAMED, "a directory with the name of a checkpoint file"),
            PassedBy::TooDeep => (DEEP, "too deep; what is below is not looked at"),
        };
        Finding::new(&row, message).file(name)
    });
    out.push_many(findings);
}

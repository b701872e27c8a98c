//! The files that a store's own listing names, against those that are here: offline.

use super::content;
use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::{Error as Bad, Note, Warning};
use crate::audit::finding::{Code, Finding, Findings};
use crate::audit::subject::Subject;
use crate::stores::{lack, stated};
use crate::units::grouped;

const MISSING: Code = code(
    "file-missing",
    "A file that the listing names is not here, and the model needs it",
    Bad,
    "The hub client keeps a listing of every file of the commit that it downloaded (trees/COMMIT.json), and Ollama's manifest names its blobs. A file of it is not on disk, and it is not \
     one that was left out by choice: a shard index names it, other shards of its set are here, no weights of the model are here at all, or its weights cannot be loaded without it. Download it again.",
);

const SIZE: Code = code(
    "file-size",
    "A file has another length than the listing states",
    Bad,
    "The hub client's listing of the commit, or Ollama's manifest, states the length of every file. This one is longer or shorter: the download was cut, or the file was changed since. Fetch it again.",
);

const LEFT_OUT: Code = code(
    "files-left-out",
    "Files of the listing were not downloaded, and nothing here needs them",
    Note,
    "The listing of the commit names files that are not here, such as the same weights in another format. That is how a download with patterns looks, so it is no fault.",
);

const LISTING: Code = code(
    "bad-listing",
    "The listing of what should be here cannot be read",
    Warning,
    "The file in which the hub client keeps the listing of a commit is damaged, too large or a link to elsewhere: whether all files are here is not known. The client writes it anew with the next download.",
);

pub(super) const CHECK: Check = Check { name: "listing", codes: &[MISSING, SIZE, LEFT_OUT, LISTING], run };

/// Findings of one kind that are told one by one.
const TOLD: usize = 50;

fn run(subject: &Subject<'_>, out: &mut Findings) {
    let Some(checkpoint) = subject.checkpoint else { return };
    let stated = match stated(checkpoint) {
        Ok(None) => return,
        Ok(Some(stated)) => stated,
        Err(error) => {
            out.push(Finding::new(&LISTING, error.to_string()).help("download the model again"));
            return;
        }
    };
    let lack = lack(checkpoint, &stated);
    let bytes = |n: u64| grouped(n);
    for (file, why) in lack.needed.iter().take(TOLD) {
        let message = format!("is not here ({why}); {} names it with {} bytes", stated.source, bytes(file.bytes));
        out.push(Finding::new(&MISSING, message).file(&file.name).help("download it again"));
    }
    if lack.needed.len() > TOLD {
        let message =
            format!("{} more files that {} names are not here", grouped((lack.needed.len() - TOLD) as u64), stated.source);
        out.push(Finding::new(&MISSING, message).help("download the model again"));
    }
    for (file, found) in lack.other_size.iter().take(TOLD) {
        let message = format!("has {} bytes; {} states {}", bytes(*found), stated.source, bytes(file.bytes));
        out.push(Finding::new(&SIZE, message).file(&file.name).help("download it again"));
    }
    if !lack.left_out.is_empty() {
        let sum = lack.left_out.iter().fold(0u64, |sum, file| sum.saturating_add(file.bytes));
        let names: Vec<String> = lack.left_out.iter().take(4).map(|file| crate::text::escape_limited(&file.name, 80)).collect();
        let more = lack.left_out.len().saturating_sub(names.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let message = format!(
            "partial by choice: {} of {} files that {} names were not downloaded ({} bytes): {}{more}",
            lack.left_out.len(),
            stated.files.len(),
            stated.source,
            bytes(sum),
            names.join(", ")
        );
        out.push(Finding::new(&LEFT_OUT, message));
    }
    for path in stated.unfinished.iter().take(TOLD) {
        let name = subject.name_of(path);
        out.push(Finding::new(&content::PARTIAL, "a download that was not finished").file(&name).help("run the download again"));
    }
}

//! What `-o` would replace: never a file that the report is made of.

use std::fs::Metadata;
use std::path::{Path, PathBuf};

use weighbridge::error::{Error, ErrorKind, Result};
use weighbridge::source::{FileSource, Source};
use weighbridge::stores::LocalModel;

/// Refuses a report to a file that is read for it: one of `models`, or of what they stand for.
///
/// # Errors
/// Such a file, under this name or another: links and further names of a file lead to the same bytes.
pub(crate) fn spare(report: &Path, models: &[LocalModel]) -> Result<()> {
    // What is not there, or is a device, is not replaced.
    let Some(there) = std::fs::metadata(report).ok().filter(Metadata::is_file) else { return Ok(()) };
    let is_report = |path: &PathBuf| is_same(report, &there, path);
    let named = models.iter().map(|model| model.path().to_path_buf()).find(is_report);
    // A report in a folder of its own checkpoint is made anew as often as wanted.
    let read = || models.iter().flat_map(LocalModel::inputs).find(is_report).filter(|_| !is_ours(report, &there));
    let Some(input) = named.or_else(read) else { return Ok(()) };
    let mut message = "is read for this report, which would take its place".to_owned();
    if input != report {
        message.push_str(&format!(" (it is {})", weighbridge::text::shown_path(&input)));
    }
    Err(Error::new(ErrorKind::Usage, message).with_path(report).help("give -o a name that nothing has; the file is unchanged"))
}

#[cfg(unix)]
fn is_same(_: &Path, there: &Metadata, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).is_ok_and(|other| (other.dev(), other.ino()) == (there.dev(), there.ino()))
}

#[cfg(not(unix))]
fn is_same(report: &Path, _: &Metadata, path: &Path) -> bool {
    report.canonicalize().is_ok_and(|report| path.canonicalize().is_ok_and(|path| path == report))
}

/// Bytes at the beginning of a document that tell what it is.
const HEAD: usize = 512;

/// Whether a file is a report of ours, by how it begins, or empty: an audit reads every JSON of a folder, but nothing is lost.
fn is_ours(path: &Path, there: &Metadata) -> bool {
    let mut head = [0; HEAD];
    let Ok(n) = FileSource::open(path).and_then(|source| source.read_at(0, &mut head)) else { return false };
    let head = String::from_utf8_lossy(&head[..n]);
    let document = head.contains("\"schema_version\"") && head.contains("\"name\": \"weigh\"");
    there.len() == 0 || head.starts_with('{') && (document || head.contains("/sarif-2.1.0.json\""))
}

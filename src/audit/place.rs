//! Where findings stand, for outputs in which every finding needs a place in a file.

use std::path::{Component, Path, PathBuf};

use super::finding::Finding;
use super::subject::Subject;
use crate::error::{Error, ErrorKind, Result};
use crate::text::shown_path;

/// Files that say what a folder is, the most telling first.
const TELLING: [&str; 2] = ["README.md", "config.json"];

/// The folder of an audit, and the file in it that findings about the whole are shown at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The folder that the names of files are relative to.
    pub folder: PathBuf,
    /// The file that was asked for; of a folder `README.md`, else `config.json`, else the first file of weights, else the first file. An
    /// empty folder has none: `README.md`, which it should have.
    pub file: String,
    /// How findings about the folder itself name it.
    own_name: Option<String>,
}

impl Place {
    pub(super) fn of(subject: &Subject<'_>) -> Self {
        let is_folder = subject.is_folder();
        let beside = || subject.path.parent().unwrap_or(Path::new("")).to_path_buf();
        let folder = subject.checkpoint.map(|c| c.listing.root.clone());
        let folder = folder.unwrap_or_else(|| if is_folder { subject.path.to_path_buf() } else { beside() });
        let own_name = is_folder.then(|| subject.name_of(subject.path));
        let file = if is_folder { telling(subject) } else { subject.name_of(subject.path) };
        Self { folder, file, own_name }
    }

    /// The file that a finding is shown at.
    pub fn file_of<'f>(&'f self, finding: &'f Finding) -> &'f str {
        finding.file.as_deref().filter(|file| Some(*file) != self.own_name.as_deref()).unwrap_or(&self.file)
    }
}

/// The path of a folder from `root`, a folder above it: empty where it is that folder.
///
/// # Errors
/// [`ErrorKind::Usage`] where it is not below `root`; where either cannot be found.
pub fn path_below(root: &Path, folder: &Path) -> Result<PathBuf> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let absolute = |path: &Path| std::path::absolute(path).map_err(|e| Error::io(path, "cannot find", &e));
    let real = |path: &Path| path.canonicalize().map_err(|e| Error::io(path, "cannot find", &e));
    let real_root = real(root)?;
    // As the paths are written: a checkout names its links by their own names, not by what they lead to.
    let (as_written, above) = (absolute(folder)?, absolute(root)?);
    let steps_up = |path: &Path| path.components().any(|part| part == Component::ParentDir);
    if let Some(below) = as_written.strip_prefix(&above).ok().filter(|below| !steps_up(below)) {
        return Ok(below.to_path_buf());
    }
    real(folder)?.strip_prefix(&real_root).map(Path::to_path_buf).map_err(|_| {
        Error::new(ErrorKind::Usage, format!("is not below {}", shown_path(root)))
            .with_path(folder)
            .help("give the folder of the checkout")
    })
}

fn telling(subject: &Subject<'_>) -> String {
    let listed = || subject.listed().iter().map(|file| &file.name);
    let named = TELLING.iter().find_map(|name| listed().find(|listed| listed == name));
    let read = || subject.files().first().map(|file| &file.name);
    let unread = || subject.checkpoint.and_then(|c| c.unread.first()).map(|file| &file.name);
    named.or_else(read).or_else(unread).or_else(|| listed().next()).map_or_else(|| TELLING[0].to_owned(), Clone::clone)
}

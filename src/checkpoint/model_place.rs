//! The models of a folder, each with the path to give for it.

use std::path::{Path, PathBuf};

use super::open::{Read, read_path};
use super::weight_sets::OneModel;
use super::{CheckpointFile, OpenOptions};
use crate::error::{Error, ErrorKind, Result};
use crate::text::escape_limited;

/// Models that an error names.
const LISTED: usize = 24;

/// One of the models of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelPlace {
    /// What it calls itself (`general.name` of a GGUF), or what its folder or file is called; as it stands there.
    pub name: String,
    /// The folder or file to give for it, relative to the folder that was looked at; empty where that folder is the one model.
    pub path: PathBuf,
    /// Its weight files, copies and other forms of it too, relative to that folder.
    pub files: Vec<String>,
    /// Bytes of these files.
    pub bytes: u64,
}

/// The models that lie in a folder: one for a checkpoint with all its components, several for a collection. A file is one model.
///
/// # Errors
/// As [`super::open`]; a folder of several models is none.
pub fn models_in(path: &Path) -> Result<Vec<ModelPlace>> {
    let Read { root, files, models, .. } = read_path(path, &OpenOptions::default())?;
    if models.len() > 1 {
        return Ok(models.iter().map(|model| place(model, &files)).collect());
    }
    let name = root.file_name().or_else(|| path.file_name()).map(|name| name.to_string_lossy().into_owned());
    let bytes = files.iter().fold(0u64, |sum, file| sum.saturating_add(file.container.file_len));
    let files = files.into_iter().map(|file| file.name).collect();
    Ok(vec![ModelPlace { name: name.unwrap_or_default(), path: PathBuf::new(), files, bytes }])
}

fn place(model: &OneModel, files: &[CheckpointFile]) -> ModelPlace {
    ModelPlace {
        name: model.name.clone(),
        path: PathBuf::from(&model.path),
        bytes: model.files.iter().fold(0u64, |sum, &i| sum.saturating_add(files[i].container.file_len)),
        files: model.files.iter().map(|&i| files[i].name.clone()).collect(),
    }
}

/// The error of a folder that was to be weighed as one model.
pub(super) fn several(path: &Path, models: &[OneModel]) -> Error {
    let shown = |model: &OneModel| format!("`{}` in {}", escape_limited(&model.name, 60), escape_limited(&model.path, 160));
    let listed: Vec<String> = models.iter().take(LISTED).map(shown).collect();
    let more = models.len().saturating_sub(LISTED);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    let message = format!("holds {} models, which are not weighed as one: {}{more}", models.len(), listed.join(", "));
    let help = match models.first() {
        Some(first) => format!("give the path of one of them, such as {}", crate::text::shown_path(&path.join(&first.path))),
        None => "give the path of one of them".to_owned(),
    };
    Error::new(ErrorKind::SeveralModels, message).with_path(path).help(help)
}

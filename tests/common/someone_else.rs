//! `weigh` as a user who may not read every file: whoever runs the tests or, where that is root, somebody else.
//!
//! A clone may lie in a folder that other users may not enter, as `/root` in most containers: then the program is copied to one they may.
#![allow(unreachable_pub)]
#![allow(clippy::unwrap_used)]

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A user without rights on most systems, `nobody` on many.
const NOBODY: u32 = 65534;

/// A user, a program that they can run, and a folder that they can enter.
pub(crate) struct SomeoneElse {
    id: Option<u32>,
    program: PathBuf,
    folder: TempDir,
}

impl SomeoneElse {
    /// A folder of this test's own, for a user who may not read every file; why there is none otherwise.
    pub(crate) fn new() -> Result<Self, String> {
        let mine = tempfile::tempdir().unwrap();
        let weigh = Path::new(env!("CARGO_BIN_EXE_weigh"));
        if std::fs::metadata(mine.path()).unwrap().uid() != 0 {
            return Ok(Self { id: None, program: weigh.to_owned(), folder: mine });
        }
        let mut why = String::new();
        for base in [std::env::temp_dir(), PathBuf::from("/tmp"), PathBuf::from("/var/tmp")] {
            let Ok(folder) = tempfile::tempdir_in(&base) else { continue };
            let program = folder.path().join("weigh");
            std::fs::copy(weigh, &program).unwrap();
            let all = Permissions::from_mode(0o755);
            std::fs::set_permissions(&program, all.clone()).unwrap();
            std::fs::set_permissions(folder.path(), all).unwrap();
            let someone = Self { id: Some(NOBODY), program, folder };
            let mut trial = someone.weigh();
            let trial = trial.arg("--version").current_dir(someone.folder()).stdout(Stdio::null()).stderr(Stdio::null());
            match trial.status() {
                Ok(status) if status.success() => return Ok(someone),
                Ok(status) => why = status.to_string(),
                Err(error) => why = error.to_string(),
            }
        }
        Err(format!("root may read everything, and user {NOBODY} can run nothing here ({why})"))
    }

    /// The program, as this user runs it.
    pub(crate) fn weigh(&self) -> Command {
        let mut command = Command::new(&self.program);
        if let Some(id) = self.id {
            command.uid(id).gid(id);
        }
        command
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// Lets everybody do below a path what its owner may, whatever the umask took away.
pub(crate) fn open_to_all(path: &Path) {
    let Ok(data) = std::fs::symlink_metadata(path) else { return };
    if data.is_symlink() {
        return;
    }
    let owner = data.permissions().mode() & 0o500;
    std::fs::set_permissions(path, Permissions::from_mode(data.permissions().mode() | owner >> 3 | owner >> 6)).unwrap();
    if data.is_dir() {
        std::fs::read_dir(path).unwrap().for_each(|entry| open_to_all(&entry.unwrap().path()));
    }
}

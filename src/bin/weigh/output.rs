//! Where documents go: stdout or a file, as JSON or as sections; and one line on stderr for what went wrong.
#![allow(clippy::print_stderr)]

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use weighbridge::error::{Error, ErrorKind, Result};
use weighbridge::report::cell::Section;
use weighbridge::report::document::{Document, to_json};
use weighbridge::report::text::TextStyle;
use weighbridge::report::{RENDERERS, Renderer};
use weighbridge::text::shown_path;

use crate::args::{Color, Common, Format};

/// Says what went wrong, in one line.
pub(crate) fn complain(line: &str) {
    eprintln!("weigh: {line}");
}

/// Where a document goes, and how it is set.
pub(crate) struct Output {
    format: Format,
    file: Option<PathBuf>,
    style: TextStyle,
}

impl Output {
    /// As the arguments say.
    pub(crate) fn new(common: &Common) -> Self {
        let terminal = common.output.is_none() && std::io::stdout().is_terminal();
        let color = match common.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
        };
        let width = terminal_size::terminal_size().filter(|_| terminal).map(|(w, _)| usize::from(w.0));
        let from_env = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
        let width = width.or(from_env).unwrap_or(80);
        Self { format: common.format, file: common.output.clone(), style: TextStyle { width, color, exact: common.verbose } }
    }

    /// Whether sections may be written one after another as they become known.
    pub(crate) fn streams(&self) -> bool {
        self.format == Format::Text && self.file.is_none()
    }

    /// Writes one whole document.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write<B: Serialize>(&self, document: &Document<B>, sections: &[Section]) -> Result<()> {
        let text = match self.renderer() {
            None => return self.write_json(document),
            Some(renderer) => (renderer.render)(sections, &self.style),
        };
        self.put(text.as_bytes())
    }

    /// Writes one whole document as JSON, whatever the format asked for.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write_json<B: Serialize>(&self, document: &Document<B>) -> Result<()> {
        let text = to_json(document).map_err(|e| Error::new(ErrorKind::Io, format!("cannot write the report: {e}")))?;
        self.put(text.as_bytes())
    }

    /// Whether SARIF was asked for.
    pub(crate) fn is_sarif(&self) -> bool {
        self.format == Format::Sarif
    }

    /// Writes a value as JSON without the common head.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write_value(&self, value: &impl Serialize) -> Result<()> {
        let text = to_json(value).map_err(|e| Error::new(ErrorKind::Io, format!("cannot write the report: {e}")))?;
        self.put(text.as_bytes())
    }

    /// Writes sections at once, with a blank line after them when more is to come.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(crate) fn stream(&self, sections: &[Section], more: bool) -> Result<()> {
        let Some(renderer) = self.renderer() else { return Ok(()) };
        let mut text = (renderer.render)(sections, &self.style);
        if more {
            text.push('\n');
        }
        self.put(text.as_bytes())
    }

    fn renderer(&self) -> Option<&'static Renderer> {
        let name = match self.format {
            Format::Json | Format::Sarif => return None,
            Format::Text => "text",
            Format::Csv => "csv",
            Format::Markdown => "markdown",
        };
        RENDERERS.iter().find(|r| r.name == name)
    }

    fn put(&self, bytes: &[u8]) -> Result<()> {
        match &self.file {
            Some(path) => write_whole(path, bytes),
            None => {
                let mut out = std::io::stdout().lock();
                match out.write_all(bytes).and_then(|()| out.flush()) {
                    // `weigh ... | head` is no failure.
                    Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
                    Err(e) => Err(Error::new(ErrorKind::Io, format!("cannot write to stdout: {e}"))),
                    Ok(()) => Ok(()),
                }
            }
        }
    }
}

/// Writes a report so that there is the whole of it or what was there before: beside the file, to the disk, then renamed.
///
/// What is no regular file (a device, the pipe of a shell) cannot be replaced and must not be: it is written to.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let fail = |e: &std::io::Error| {
        Error::new(ErrorKind::Io, format!("cannot write the report to {}: {e}", shown_path(path)))
            .help("what was there before is unchanged")
    };
    match std::fs::metadata(path) {
        Ok(there) if there.is_dir() => {
            Err(Error::new(ErrorKind::NotRegularFile, "is a directory: the report needs a file name").with_path(path))
        }
        Ok(there) if !there.is_file() => {
            let open = std::fs::OpenOptions::new().write(true).open(path);
            open.and_then(|mut file| file.write_all(bytes)).map_err(|e| fail(&e))
        }
        // A link stays a link: what it leads to is replaced.
        Ok(_) => path.canonicalize().and_then(|real| replace(&real, bytes)).map_err(|e| fail(&e)),
        Err(_) => replace(path, bytes).map_err(|e| fail(&e)),
    }
}

fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    // Made anew: a link that somebody left under this name is not followed.
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(&temporary)?;
    let done = file.write_all(bytes).and_then(|()| file.sync_all());
    drop(file);
    done.and_then(|()| std::fs::rename(&temporary, path)).inspect_err(|_| {
        let _ = std::fs::remove_file(&temporary);
    })
}

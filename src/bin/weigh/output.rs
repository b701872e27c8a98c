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

/// Writes beside the file and renames: a full disk leaves no half report.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let done = std::fs::write(&temporary, bytes).and_then(|()| std::fs::rename(&temporary, path));
    done.map_err(|e| {
        let _ = std::fs::remove_file(&temporary);
        Error::new(ErrorKind::Io, format!("cannot write the report to {}: {e}", shown_path(path)))
    })
}

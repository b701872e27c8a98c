//! Where documents go: stdout or a file, as JSON or as sections; and one line on stderr for what went wrong.
#![allow(clippy::print_stderr)]

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use weighbridge::error::{Error, ErrorKind, Result};
use weighbridge::report::cell::Section;
use weighbridge::report::document::{Document, write_json};
use weighbridge::report::page::Page;
use weighbridge::report::text::{TextStyle, WIDEST};
use weighbridge::report::{RENDERERS, Renderer, csv};
use weighbridge::stores::LocalModel;
use weighbridge::text::shown_path;

use crate::args::{Color, Common, Format};
use crate::replaced;

/// Prints a line on stderr about what went wrong.
pub(crate) fn warn(line: &str) {
    eprintln!("weigh: {line}");
}

/// Where a document goes, and how it is set.
pub(crate) struct Output {
    format: Format,
    file: Option<PathBuf>,
    style: TextStyle,
}

impl Output {
    /// Decides by the arguments, the terminal and the environment.
    pub(crate) fn new(common: &Common) -> Self {
        let terminal = common.output.is_none() && std::io::stdout().is_terminal();
        let color = match common.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
        };
        let width = terminal_size::terminal_size().filter(|_| terminal).map(|(w, _)| usize::from(w.0));
        let from_env = || std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
        let width = width.or_else(from_env).unwrap_or(80).min(WIDEST);
        Self { format: common.format, file: common.output.clone(), style: TextStyle { width, color, exact: common.verbose } }
    }

    /// Makes sure that the document replaces nothing that it is made of: these paths, and what they stand for.
    ///
    /// # Errors
    /// When it would.
    pub(crate) fn spare(&self, paths: &[LocalModel]) -> Result<()> {
        self.file.as_deref().map_or(Ok(()), |report| replaced::spare(report, paths))
    }

    /// Whether sections may be written one after another as they become known.
    pub(crate) fn streams(&self) -> bool {
        self.format == Format::Text && self.file.is_none()
    }

    /// Writes one whole document.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write<B: Serialize>(&self, document: &Document<B>, sections: &[Section<'_>]) -> Result<()> {
        match self.renderer() {
            None => self.write_json(document),
            Some(renderer) => {
                self.put(&|to| self.render(renderer, sections, to))?;
                if self.is_csv() {
                    csv::refusals(sections).iter().for_each(|reason| warn(reason));
                }
                Ok(())
            }
        }
    }

    /// Writes one whole document as JSON, whatever the format asked for.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write_json<B: Serialize>(&self, document: &Document<B>) -> Result<()> {
        self.write_value(document)
    }

    /// Whether SARIF was asked for.
    pub(crate) fn is_sarif(&self) -> bool {
        self.format == Format::Sarif
    }

    /// Whether tables alone are written.
    pub(crate) fn is_csv(&self) -> bool {
        self.format == Format::Csv
    }

    /// Writes a value as JSON without the common head.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write_value(&self, value: &impl Serialize) -> Result<()> {
        self.put(&|to| write_json(value, to))
    }

    /// Writes sections at once, with a blank line after them when more is to come.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(crate) fn stream(&self, sections: &[Section<'_>], more: bool) -> Result<()> {
        let Some(renderer) = self.renderer() else { return Ok(()) };
        self.put(&|to| {
            self.render(renderer, sections, to)?;
            if more { to.write_all(b"\n") } else { Ok(()) }
        })
    }

    fn render(&self, renderer: &Renderer, sections: &[Section<'_>], to: &mut dyn Write) -> io::Result<()> {
        let mut page = Page::new(to);
        (renderer.render)(sections, &self.style, &mut page);
        page.finish()
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

    fn put(&self, report: Report<'_>) -> Result<()> {
        match &self.file {
            Some(path) => write_whole(path, report),
            None => {
                // A report may be longer than memory is large: it is written as it is made.
                match in_pieces(std::io::stdout().lock(), report) {
                    // `weigh ... | head` is no failure.
                    Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
                    Err(e) => Err(Error::new(ErrorKind::Io, format!("cannot write to stdout: {e}"))),
                    Ok(_) => Ok(()),
                }
            }
        }
    }
}

/// Writes a report.
type Report<'a> = &'a dyn Fn(&mut dyn Write) -> io::Result<()>;

fn in_pieces<W: Write>(to: W, report: Report<'_>) -> io::Result<W> {
    let mut to = BufWriter::with_capacity(64 * 1024, to);
    report(&mut to)?;
    let mut to = to.into_inner().map_err(io::IntoInnerError::into_error)?;
    to.flush()?;
    Ok(to)
}

/// Writes a report so that there is the whole of it or what was there before: beside the file, to the disk, then renamed.
///
/// What is no regular file (a device, the pipe of a shell) cannot be replaced and must not be: it is written to.
fn write_whole(path: &Path, report: Report<'_>) -> Result<()> {
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
            open.and_then(|file| in_pieces(file, report)).map(drop).map_err(|e| fail(&e))
        }
        // A link stays a link: what it leads to is replaced.
        Ok(_) => path.canonicalize().and_then(|real| replace(&real, report)).map_err(|e| fail(&e)),
        Err(_) => replace(path, report).map_err(|e| fail(&e)),
    }
}

fn replace(path: &Path, report: Report<'_>) -> std::io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let there = std::fs::metadata(path).ok();
    // Made anew: a link that somebody left under this name is not followed.
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if there.is_some() {
        // For nobody else until it is known who may read the file that it replaces.
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    let file = options.open(&temporary)?;
    let done = there.map_or(Ok(()), |there| take_after(&file, &there));
    let done = done.and_then(|()| in_pieces(file, report)).and_then(|file| file.sync_all());
    done.and_then(|()| std::fs::rename(&temporary, path)).inspect_err(|_| {
        let _ = std::fs::remove_file(&temporary);
    })
}

/// Gives a file the owner, as far as this user may, and the permissions of the one that it replaces.
#[cfg(unix)]
fn take_after(file: &std::fs::File, there: &std::fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
    let ours = file.metadata()?;
    if (ours.uid(), ours.gid()) != (there.uid(), there.gid()) {
        // Only root may give files away: who may not is the owner of the new one, of the same group where that can be.
        let _ = fchown(file, Some(there.uid()), Some(there.gid())).or_else(|_| fchown(file, None, Some(there.gid())));
    }
    let mode = there.mode() & 0o777;
    // File systems without permissions refuse to set them, and have the same for every file.
    if ours.mode() & 0o777 == mode { Ok(()) } else { file.set_permissions(std::fs::Permissions::from_mode(mode)) }
}

#[cfg(not(unix))]
fn take_after(_: &std::fs::File, _: &std::fs::Metadata) -> io::Result<()> {
    Ok(())
}

//! An engine that reads GGUF, asked about a Hugging Face folder: the figures are those of the file that the converter makes of it.

use super::engine::Engine;
use super::places::EngineRow;
use super::terms::Term;
use crate::format::Format;
use crate::project::convert::{ConvertedHeader, header};
use crate::project::input::ProjectInput;
use crate::project::plan::Basis;

/// The conversion that an engine needs; nothing where it reads the files as they are.
pub(super) struct Converted(Option<Result<ConvertedHeader, String>>);

impl Converted {
    pub(super) fn of(engine: &dyn Engine, input: &ProjectInput<'_>) -> Self {
        let folder = input.folder.filter(|_| engine.reads_gguf() && input.format == Some(Format::Safetensors));
        Self(folder.map(|folder| {
            let unknown = || Err("what the converter writes of this family is not known: convert first".to_owned());
            header(input, folder).unwrap_or_else(unknown)
        }))
    }

    /// The converted file, where there is one.
    pub(super) fn input(&self) -> Option<ProjectInput<'_>> {
        self.0.as_ref()?.as_ref().ok().map(ConvertedHeader::input)
    }

    /// The scheme that the converter writes, where there is a file of it.
    pub(super) fn scheme(&self) -> Option<String> {
        let head = self.0.as_ref()?.as_ref().ok()?;
        Some(format!("gguf:{}", head.outtype.name().unwrap_or("auto").to_lowercase()))
    }

    /// Says in an engine's row what its figures are of, or why the graph is not known.
    pub(super) fn say(&self, row: &mut EngineRow) {
        let terms = row.devices.iter_mut().flat_map(|place| &mut place.terms);
        match &self.0 {
            None => {}
            Some(Err(reason)) => {
                for term in terms.filter(|t| t.name == "compute_buffer" && t.basis == Basis::Refused) {
                    *term = Term::refused("compute_buffer", reason.clone());
                }
            }
            Some(Ok(head)) => {
                // Sizes that depend on values, or on files that were not read.
                if head.basis == Basis::Estimate {
                    terms.filter(|t| t.basis == Basis::Exact).for_each(|t| t.basis = Basis::Estimate);
                }
                let name = head.outtype.name().unwrap_or("auto");
                row.notes.push(format!("of the GGUF that convert_hf_to_gguf.py makes of this folder (--outtype auto: {name})"));
                row.notes.extend(head.notes.iter().cloned());
            }
        }
    }
}

//! Reports: serde bodies with the field names of the JSON, the same as sections of words and tables, and a renderer per output.
//! Nothing is computed here but sums and shares of what the other rooms found.

pub mod audit;
pub mod cell;
pub mod csv;
pub mod document;
#[cfg(test)]
mod foreign_text;
mod markdown;
pub mod page;
pub mod project;
pub mod sarif;
pub mod scan;
pub mod sections;
pub mod show;
pub mod text;
pub mod whole;

use cell::Section;
use page::Page;
use text::TextStyle;

/// One row of the registry of outputs that are made of sections. JSON is made of the bodies themselves.
pub struct Renderer {
    /// As `--format` spells it.
    pub name: &'static str,
    /// Renders sections in a style onto a page.
    pub render: fn(&[Section<'_>], &TextStyle, &mut Page<'_>),
}

/// Every output made of sections.
pub const RENDERERS: &[Renderer] = &[
    Renderer { name: "text", render: text::render },
    Renderer { name: "csv", render: |sections, _, page| csv::render(sections, page) },
    Renderer { name: "markdown", render: |sections, _, page| markdown::render(sections, page) },
];

//! The compute buffer: the graph of the largest batch, laid out as ggml lays it out.

use super::build::{self, Setup};
use super::cells::Cells;
use super::graph::{Layout, Type, lay_out};
use super::sheet::Sheet;
use crate::checkpoint::KvKind;
use crate::project::memory::Term;
use crate::project::memory::request::{KvType, Settings};
use crate::units::Bytes;

/// A cache type as ggml sees it.
fn ggml_type(t: KvType) -> Type {
    let block = t.block();
    Type::block(block, t.bytes(block).unwrap_or(0))
}

/// What the graph is built for.
///
/// # Errors
/// What llama.cpp says about settings that it refuses.
fn setup(sheet: &Sheet<'_>, settings: &Settings) -> Result<Setup, String> {
    let cells = Cells::of(settings)?;
    let window = sheet.kinds.iter().filter(|k| matches!(k.kind, KvKind::Sliding | KvKind::Chunked)).find_map(|k| k.window);
    Ok(Setup {
        tokens: cells.tokens().max(1).next_multiple_of(settings.seqs),
        seqs: settings.seqs,
        outputs: cells.outputs(settings.server),
        flash: settings.flash_attention,
        streams: cells.streams,
        cells: cells.full,
        windowed_cells: window.map_or(cells.full, |window| cells.windowed(window)),
        type_k: ggml_type(settings.kv_k),
        type_v: ggml_type(settings.kv_v),
        quantized_k: settings.kv_k.is_quantized(),
        quantized_v: settings.kv_v.is_quantized(),
    })
}

/// The layout of a model's graph.
///
/// # Errors
/// Why there is none.
pub(super) fn layout(sheet: &Sheet<'_>, settings: &Settings) -> Result<Layout, String> {
    Ok(lay_out(&build::graph(sheet, setup(sheet, settings)?)?))
}

/// The term.
pub(super) fn term(sheet: &Result<Sheet<'_>, String>, settings: &Settings) -> Term {
    let layout = match sheet {
        Ok(sheet) => layout(sheet, settings),
        Err(reason) => Err(reason.clone()),
    };
    match layout {
        Ok(layout) => {
            let parts: Vec<String> =
                layout.at_peak.iter().map(|(purpose, bytes)| format!("{} {}", purpose.name(), Bytes(*bytes).binary())).collect();
            let text = format!("the graph of one batch as ggml lays it out; at its largest: {}", parts.join(" + "));
            Term::known("compute_buffer", layout.bytes, crate::project::storage::Basis::Estimate, text)
        }
        Err(reason) => Term::refused("compute_buffer", reason),
    }
}

//! The compute buffer: the graph of the largest batch, laid out as ggml lays it out.

use super::bounds;
use super::build;
use super::build::builder::Setup;
use super::cells::Cells;
use super::graph::Type;
use super::graph::alloc::{Layout, lay_out};
use super::sheet::Sheet;
use crate::checkpoint::KvKind;
use crate::project::input::ProjectInput;
use crate::project::memory::kv_type::KvType;
use crate::project::memory::request::Settings;
use crate::project::memory::resident::Span;
use crate::project::memory::terms::Term;
use crate::project::plan::Basis;
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
        outputs: cells.outputs(settings.llama_cpp.server),
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

/// The part of the buffer that is written to: at least the graph of one token a sequence with the smallest cache, at most that of a
/// whole batch with the whole cache, of which one row a sequence is asked for.
///
/// # Errors
/// Why it is not known.
pub(super) fn touched(sheet: &Sheet<'_>, settings: &Settings) -> Result<Span, String> {
    let whole = setup(sheet, settings)?;
    let most = Setup { outputs: whole.seqs.min(whole.outputs), ..whole };
    let cells = whole.cells.min(256);
    let least = Setup { tokens: whole.seqs, cells, windowed_cells: cells, ..most };
    Ok(Span { low: lay_out(&build::graph(sheet, least)?).bytes, high: lay_out(&build::graph(sheet, most)?).bytes })
}

/// For a family whose graph is not known, that of a plain decoder with its tensors, from a fifth less to three tenths more.
fn similar(sheet: &Result<Sheet<'_>, String>, settings: &Settings, reason: &str) -> Option<Term> {
    let sheet = sheet.as_ref().ok()?;
    let bytes = lay_out(&build::similar(sheet, setup(sheet, settings).ok()?).ok()?).bytes;
    let text = format!("{reason}; a plain decoder of the same tensors takes {bytes} B: from a fifth less to three tenths more");
    Some(Term::range("compute_buffer", bytes - bytes / 5, bytes.saturating_add(bytes / 10 * 3), text))
}

/// The term of the compute buffer: exact, similar to a plain decoder, or between bounds.
pub(super) fn term(input: &ProjectInput<'_>, sheet: &Result<Sheet<'_>, String>, settings: &Settings) -> Term {
    let layout = match sheet {
        Ok(sheet) => layout(sheet, settings),
        Err(reason) => Err(reason.clone()),
    };
    match layout {
        Ok(layout) => {
            let parts: Vec<String> =
                layout.at_peak.iter().map(|(purpose, bytes)| format!("{} {}", purpose.name(), Bytes(*bytes).binary())).collect();
            let text = format!(
                "the graph of one batch, laid out as ggml does on a CPU; when it is largest it holds {} (llama-graph.cpp, ggml-alloc.c)",
                parts.join(" + ")
            );
            Term::known("compute_buffer", layout.bytes, Basis::Exact, text)
        }
        Err(reason) => similar(sheet, settings, &reason).unwrap_or_else(|| bounds::term(input, settings, &reason)),
    }
}

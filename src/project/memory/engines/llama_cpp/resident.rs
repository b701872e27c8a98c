//! What a run on the processor really holds in memory: less than it reserves, since memory that was never written to is not there.
//!
//! Source: `llama-mmap.cpp` (the whole file is populated), `llama-kv-cache.cpp` (the cache is cleared at the start), and the runs sampled in
//! `fixtures/memory` for what a process and its vocabulary take.

use super::compute;
use super::options::LoadMode;
use super::sheet::{Sheet, vocabulary};
use super::weights::Weights;
use crate::format::Format;
use crate::project::input::ProjectInput;
use crate::project::memory::request::Settings;
use crate::project::memory::resident::{Resident, Span};

const MIB: u64 = 1 << 20;

/// Process without model: heap, threads, the file's metadata. In the sampled runs 12 to 20 MiB.
const PROCESS: Span = Span { low: 8 * MIB, high: 40 * MIB };

/// One token of the vocabulary: its text, score, attributes, the maps from text to token, merges. In the sampled runs 140 to 200 B.
const TOKEN: Span = Span { low: 80, high: 400 };

/// Program and libraries, mapped. In the sampled runs 11 MiB.
const PROGRAM: Span = Span { low: 4 * MIB, high: 40 * MIB };

/// What a process takes besides the model.
pub(super) fn runtime(vocabulary: u64) -> Span {
    PROCESS.plus(Span { low: vocabulary.saturating_mul(TOKEN.low), high: vocabulary.saturating_mul(TOKEN.high) })
}

/// The resident memory of a run on the processor, from bytes that are surely written.
pub(super) fn resident(
    input: &ProjectInput<'_>,
    settings: &Settings,
    sheet: &Result<Sheet<'_>, String>,
    weights: &Weights,
    cache: u64,
    outputs: u64,
) -> Option<Resident> {
    if input.format != Some(Format::Gguf) {
        return None;
    }
    let touched = compute::touched(sheet.as_ref().ok()?, settings).ok()?;
    let repacks = settings.llama_cpp.repack && weights.repacked > 0;
    let (copied, mapped) = match settings.llama_cpp.load_mode {
        LoadMode::Mmap => (Span { low: 0, high: if repacks { weights.repacked } else { 0 } }, weights.all),
        LoadMode::None if repacks => {
            let both = weights.kept.saturating_add(weights.repacked);
            (Span { low: weights.all.min(both), high: weights.all.max(both) }, 0)
        }
        LoadMode::None => (Span::exact(weights.all), 0),
    };
    let private = [Span::exact(cache), Span::exact(outputs), touched, copied, runtime(vocabulary(input))]
        .into_iter()
        .fold(Span::exact(0), Span::plus);
    let page_cache = PROGRAM.plus(Span::exact(mapped));
    // A tensor is read whole before it is repacked.
    let while_loading = if repacks { weights.largest_repacked } else { 0 };
    let sum = private.plus(page_cache);
    let peak_loading = Span { low: 0, high: copied.high.saturating_add(mapped).saturating_add(while_loading) };
    Some(Resident {
        private,
        page_cache,
        low: sum.low,
        high: sum.high,
        peak_while_loading: Span { low: mapped.max(copied.low), ..peak_loading }.plus(runtime(vocabulary(input))).plus(PROGRAM),
        formula: format!(
            "private: cache and states {cache} B + output rows {outputs} B + {} to {} B of the compute buffer that is written to + {} to {} B \
             of weights + process and vocabulary; page cache: {mapped} B of the mapped file + the program",
            touched.low, touched.high, copied.low, copied.high
        ),
    })
}

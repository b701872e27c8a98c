//! Whether it fits a budget, and how far the context could grow.

use serde::Serialize;

use super::engine::{self, Engine};
use super::request::{KvType, Settings};
use crate::error::{Error, ErrorKind, Result};
use crate::format::Format;
use crate::project::input::ProjectInput;
use crate::project::storage::scheme::{self, Context};
use crate::project::storage::{Basis, Options, Target};
use crate::units::{Bytes, parse_bytes};

/// Memory to fit into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// As asked for.
    pub text: String,
    /// Bytes of one device.
    pub bytes: u64,
    /// Number of devices.
    pub devices: u64,
}

impl Budget {
    /// Reads `24GiB` and `2x24GiB`. `this` is not read here: what this machine has is measured by the caller.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] when the text is no budget.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let (devices, size) = match text.split_once(['x', 'X']) {
            Some((n, size)) => (n.trim().parse::<u64>().ok().filter(|&n| n > 0), size),
            None => (Some(1), text),
        };
        let devices = devices.ok_or_else(|| {
            Error::new(ErrorKind::Usage, format!("`{}` is no budget", crate::text::escape(text))).help("write 24GiB or 2x24GiB")
        })?;
        Ok(Self { text: text.to_owned(), bytes: parse_bytes(size.trim())?.0, devices })
    }
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Even the high figure fits.
    Fits,
    /// The budget lies between low and high.
    Tight,
    /// Not even the low figure fits.
    No,
}

/// One engine against one budget.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FitRow {
    /// The engine.
    pub engine: &'static str,
    /// As asked for.
    pub budget: String,
    /// Number of devices.
    pub devices: u64,
    /// The answer; `None` where the KV cache is not known and the weights alone fit.
    pub verdict: Option<Verdict>,
    /// Sum of the known terms.
    pub needs_low: u64,
    /// With the allowance for what is not estimated.
    pub needs_high: Option<u64>,
    /// Largest context whose high figure fits, in steps of 256 tokens; `None` where none fits or it is not known.
    pub max_ctx: Option<u64>,
    /// Largest number of sequences of this context whose high figure fits; `None` for llama.cpp, whose context is a total, and
    /// where none fits or it is not known.
    pub max_seqs: Option<u64>,
    /// The largest scheme whose weights would make the high figure fit; `None` where it fits as it is, or none does.
    pub first_scheme_that_fits: Option<String>,
    /// What would save most.
    pub biggest_lever: Option<String>,
    /// What a reader of the figures should know; escaped.
    pub notes: Vec<String>,
}

/// Set aside for what is not estimated yet, on every device: the upper end of formulas D's 0.5 to 1.5 GiB.
const ALLOWANCE: u64 = 3 << 29;

/// Contexts are searched up to here where the model's own maximum is not known.
const SEARCHED: u64 = 1 << 20;

/// Sequences are searched up to here.
const SEARCHED_SEQS: u64 = 1 << 16;

pub(super) fn row(engine: &dyn Engine, input: &ProjectInput<'_>, settings: &Settings, budget: &Budget) -> FitRow {
    let total = budget.bytes.saturating_mul(budget.devices);
    // Weights are repacked for a processor only, and `this` is the only budget that is surely a processor's.
    let settings = &Settings { repack: settings.repack && budget.text == "this", ..*settings };
    let figures = engine::row(engine, input, settings);
    let terms = || figures.devices.iter().chain([&figures.host]).flat_map(|p| &p.terms);
    let known = |name: &str| terms().any(|t| t.name == name && t.low.is_some());
    let low = figures.low;
    let allowance = ALLOWANCE.saturating_mul(budget.devices);
    let complete = known("weights") && known("kv_cache");
    // The highs of what has one, and the allowance instead of what has none (a stated range for the runtime lies within it); where an
    // engine's own processes are modelled in host memory, everything is known and nothing is set aside.
    let whole = figures.high.filter(|_| !figures.host.terms.is_empty());
    let fixed: u64 = terms().filter(|t| t.name == "weights").filter_map(|t| t.high).sum();
    let high_with = |kv: u64| fixed.saturating_add(kv).saturating_add(allowance);
    let kv_now = terms().find(|t| t.name == "kv_cache").and_then(|t| t.high);
    let needs_high = whole.or_else(|| kv_now.filter(|_| complete).map(high_with).map(|h| h.max(low)));
    let verdict = match needs_high {
        _ if low > total => Some(Verdict::No),
        Some(high) if high <= total => Some(Verdict::Fits),
        Some(_) => Some(Verdict::Tight),
        None => None,
    };
    let kv_at = |ctx: u64| engine::kv(engine, input.model, &Settings { ctx, ..*settings }).ok().map(|f| f.bytes);
    let longest = input.model.context_length.unwrap_or(SEARCHED);
    let fits = |ctx: u64| match whole {
        Some(_) => engine::row(engine, input, &Settings { ctx, ..*settings }).high.is_some_and(|high| high <= total),
        None => kv_at(ctx).is_some_and(|kv| high_with(kv) <= total),
    };
    let max_ctx = if complete { largest(longest, 256, fits) } else { None };
    let with_seqs = |n: u64| engine::kv(engine, input.model, &Settings { others_seqs: n, ..*settings }).ok();
    let seqs_fit = |n: u64| with_seqs(n).is_some_and(|f| high_with(f.bytes) <= total);
    let max_seqs = if complete && engine.name() != "llama.cpp" { largest(SEARCHED_SEQS, 1, seqs_fit) } else { None };
    let room = match whole {
        Some(high) => total.checked_sub(high.saturating_sub(fixed)),
        None => kv_now.and_then(|kv| total.checked_sub(kv)?.checked_sub(allowance)),
    };
    let first_scheme_that_fits = match (verdict, room) {
        (Some(Verdict::Tight | Verdict::No), Some(room)) => first_scheme(engine, input, room),
        _ => None,
    };
    let biggest_lever = kv_now.and_then(|now| lever(engine, input, settings, now));
    let mut notes = Vec::new();
    if whole.is_none() {
        notes.push(format!("the high figure sets {} aside for what is not estimated yet", Bytes(allowance).binary()));
    }
    if budget.devices > 1 {
        notes.push("as if everything were spread evenly over the devices".to_owned());
    }
    FitRow {
        engine: engine.name(),
        budget: budget.text.clone(),
        devices: budget.devices,
        verdict,
        needs_low: low,
        needs_high,
        max_ctx,
        max_seqs,
        first_scheme_that_fits,
        biggest_lever,
        notes,
    }
}

/// The largest multiple of `step` up to `most` that fits (or `most` itself), for what grows with it.
fn largest(most: u64, step: u64, fits: impl Fn(u64) -> bool) -> Option<u64> {
    if fits(most) {
        return Some(most);
    }
    let (mut good, mut bad) = (0u64, most.div_ceil(step));
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if fits(middle * step) { good = middle } else { bad = middle }
    }
    (good > 0).then_some(good * step)
}

/// Schemes of safetensors that vLLM and transformers load, tried beside each other.
const LOADED: &[&str] = &["bf16", "ct-fp8-dynamic", "ct-w8a8", "ct-w4a16", "bnb-nf4"];

/// The scheme with the largest weights within `room` bytes.
fn first_scheme(engine: &dyn Engine, input: &ProjectInput<'_>, room: u64) -> Option<String> {
    let targets: Vec<Target> = if engine.name() == "llama.cpp" {
        Target::all(Some(Format::Gguf))
    } else {
        LOADED.iter().map(|name| Target::parse(name)).collect()
    };
    let context = Context::new(input, Options::default());
    let mut best: Option<(u64, String)> = None;
    for target in &targets {
        let row = scheme::row(&context, target);
        if let Some(bytes) = row.tensor_bytes.filter(|&b| row.basis != Basis::Refused && b <= room)
            && best.as_ref().is_none_or(|(largest, _)| bytes > *largest)
        {
            best = Some((bytes, row.scheme));
        }
    }
    best.map(|(_, name)| name)
}

/// A cache in fewer bits, where it is not one already.
fn lever(engine: &dyn Engine, input: &ProjectInput<'_>, settings: &Settings, now: u64) -> Option<String> {
    let smaller = KvType::parse(if engine.name() == "llama.cpp" { "q8_0" } else { "fp8" }).ok()?;
    let kv = engine::kv(engine, input.model, &Settings { kv_k: smaller, kv_v: smaller, ..*settings }).ok()?;
    let saved = now.checked_sub(kv.bytes).filter(|&s| s > 0)?;
    Some(format!("KV {} saves {}", smaller.name(), Bytes(saved).binary()))
}

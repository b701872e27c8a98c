//! Whether it fits a budget, and how far the context could grow.

use serde::Serialize;

use super::engine::{self, Engine};
use super::parallel::{self, Parallel};
use super::request::{KvType, Settings};
use super::{EngineRow, Place};
use crate::error::{Error, ErrorKind, Result};
use crate::format::Format;
use crate::project::input::ProjectInput;
use crate::project::storage::{Basis, Request, Target, project};
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
    /// Largest number of sequences of this context each whose high figure fits; `None` where none fits or it is not known.
    pub max_seqs: Option<u64>,
    /// The largest scheme whose weights would make the high figure fit; `None` where it fits as it is, or none does.
    pub first_scheme_that_fits: Option<String>,
    /// What would save most.
    pub biggest_lever: Option<String>,
    /// What a reader of the figures should know; escaped.
    pub notes: Vec<String>,
}

/// Set aside on every device where something is not estimated: the upper end of formulas D's 0.5 to 1.5 GiB.
const ALLOWANCE: u64 = 3 << 29;

/// Contexts are searched up to here where the model's own maximum is not known.
const SEARCHED: u64 = 1 << 20;

/// Sequences are searched up to here.
const SEARCHED_SEQS: u64 = 1 << 16;

/// What a run needs against a budget of devices.
struct Needs {
    /// Of the device that needs most, or of everything on a single one.
    low: u64,
    high: Option<u64>,
    /// Of all devices.
    sum_low: u64,
    sum_high: Option<u64>,
    /// Most bytes of that device's weights.
    weights: u64,
    /// Most bytes of all caches; `None` where they are not known.
    cache: Option<u64>,
    /// Whether something is set aside for what is not estimated.
    allows: bool,
}

/// The highs of what has one, and the allowance instead of what has none (a stated range for the runtime lies within it); `None`
/// where weights or caches are not known.
fn high(place: &Place) -> Option<u64> {
    let refused = |name: &str| place.terms.iter().any(|t| t.name == name && t.high.is_none());
    if refused("weights") || refused("kv_cache") || refused("recurrent_state") {
        return None;
    }
    let known = place.terms.iter().filter(|t| t.name != "runtime").filter_map(|t| t.high).fold(ALLOWANCE, u64::saturating_add);
    Some(place.high.unwrap_or(known).max(place.low))
}

impl Needs {
    fn of(row: &EngineRow) -> Self {
        let one = row.devices.len() == 1;
        let host = |n: u64| if one { n } else { 0 };
        let worst = row.devices.iter().max_by_key(|d| (high(d), d.low));
        let of = |places: &mut dyn Iterator<Item = &Place>, name: &str| {
            places.flat_map(|p| &p.terms).filter(|t| t.name == name).try_fold(0u64, |n, t| Some(n.saturating_add(t.high?)))
        };
        // The allowance covers what an engine's process takes besides.
        let host_high = if one && row.devices.iter().all(|d| d.high.is_some()) { row.host.high } else { Some(0) };
        let plus = |a: Option<u64>| a.zip(host_high).map(|(a, b)| a.saturating_add(b));
        Self {
            low: worst.map_or(0, |d| d.low).saturating_add(host(row.host.low)),
            high: plus(worst.and_then(high)),
            sum_low: row.devices.iter().fold(host(row.host.low), |n, d| n.saturating_add(d.low)),
            sum_high: plus(row.devices.iter().try_fold(0u64, |n, d| Some(n.saturating_add(high(d)?)))),
            weights: of(&mut worst.into_iter(), "weights").unwrap_or(0),
            cache: of(&mut row.devices.iter(), "kv_cache"),
            allows: row.devices.iter().any(|d| d.high.is_none()),
        }
    }
}

pub(super) fn row(engine: &dyn Engine, input: &ProjectInput<'_>, settings: &Settings, budget: &Budget) -> FitRow {
    // Weights are repacked for a processor only, and `this` is the only budget that is surely a processor's.
    let repack = settings.repack;
    let settings = Settings { repack: repack && budget.text == "this", ..*settings };
    let (settings, mut notes) = spread(engine, input, settings, budget.devices);
    let asked = settings.parallel.devices();
    let too_many = asked.as_ref().is_ok_and(|&n| n > budget.devices);
    let needs_of = |settings: &Settings| Needs::of(&engine::row(engine, input, settings));
    let needs = needs_of(&settings);
    let fits = |settings: &Settings| !too_many && needs_of(settings).high.is_some_and(|high| high <= budget.bytes);
    let verdict = match needs.high {
        _ if needs.low > budget.bytes || too_many => Some(Verdict::No),
        Some(high) if high <= budget.bytes => Some(Verdict::Fits),
        Some(_) => Some(Verdict::Tight),
        None => None,
    };
    let longest = input.model.context_length.unwrap_or(SEARCHED);
    let complete = needs.high.is_some();
    let max_ctx = if complete { largest(longest, 256, |ctx| fits(&Settings { ctx, ..settings })) } else { None };
    // llama.cpp's context is the total over all sequences.
    let with_seqs = |n: u64| match engine.name() {
        "llama.cpp" => Settings { ctx: settings.ctx.saturating_mul(n), seqs: n, ..settings },
        _ => Settings { others_seqs: n, ..settings },
    };
    let most = if engine.name() == "llama.cpp" { 256 } else { SEARCHED_SEQS };
    let max_seqs = if complete { largest(most, 1, |n| fits(&with_seqs(n))) } else { None };
    let room = needs.high.and_then(|high| budget.bytes.checked_sub(high.saturating_sub(needs.weights)));
    let scheme = match (verdict, room) {
        (Some(Verdict::Tight | Verdict::No), Some(room)) if !too_many => first_scheme(engine, input, room, needs.weights),
        _ => None,
    };
    let biggest_lever = lever(engine, input, &settings, &needs, scheme.as_ref());
    if needs.allows {
        let aside = Bytes(ALLOWANCE).binary();
        notes.push(format!("the high figure sets {aside} a device aside for what is not estimated"));
    }
    if needs.sum_high != needs_of(&Settings { repack, ..settings }).sum_high {
        notes.push(
            "a size is taken as a GPU's: the copy of repacked weights, for a processor, is not in it (--fit this counts it)"
                .to_owned(),
        );
    }
    if too_many {
        notes.push(format!("the run asks for {} devices", asked.unwrap_or_default()));
    }
    FitRow {
        engine: engine.name(),
        budget: budget.text.clone(),
        devices: budget.devices,
        verdict,
        needs_low: needs.sum_low,
        needs_high: needs.sum_high,
        max_ctx,
        max_seqs,
        first_scheme_that_fits: scheme.map(|(_, name)| name),
        biggest_lever,
        notes,
    }
}

/// The run on so many devices: as asked, or tensor parallel where the model divides, else a pipeline, else on one of them.
fn spread(engine: &dyn Engine, input: &ProjectInput<'_>, settings: Settings, devices: u64) -> (Settings, Vec<String>) {
    if !settings.parallel.is_single() || devices == 1 {
        return (settings, Vec::new());
    }
    let ways =
        [("tensor", Parallel { tp: devices, ..settings.parallel }), ("pipeline", Parallel { pp: devices, ..settings.parallel })];
    let mut why = String::new();
    for (name, parallel) in ways {
        let spread = Settings { parallel, ..settings };
        match parallel::slices(input, &spread, &engine.convention()) {
            Ok(_) => {
                return (
                    spread,
                    vec![format!("spread over {devices} devices as {name} parallel; the verdict is the worst device's")],
                );
            }
            Err(reason) => why = reason,
        }
    }
    (settings, vec![format!("on one of the {devices} devices: {why}")])
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

/// The scheme with the largest weights that shrink the `held` bytes of a device to `room`: its bytes and name.
fn first_scheme(engine: &dyn Engine, input: &ProjectInput<'_>, room: u64, held: u64) -> Option<(u64, String)> {
    let targets: Vec<Target> = if engine.name() == "llama.cpp" {
        Target::all(Some(Format::Gguf))
    } else {
        LOADED.iter().map(|name| Target::parse(name)).collect()
    };
    let whole = u128::from(input.tensor_bytes());
    let on_device = |bytes: u64| u128::from(bytes) * u128::from(held) / whole.max(1);
    let rows = project(input, &Request { targets, ..Request::default() }).quantized;
    let sized = rows.into_iter().filter(|row| row.basis != Basis::Refused).filter_map(|row| Some((row.tensor_bytes?, row.scheme)));
    sized.filter(|(bytes, _)| on_device(*bytes) <= u128::from(room)).reduce(|best, one| if one.0 > best.0 { one } else { best })
}

/// A cache in fewer bits, where it is not one already, or the weights in the scheme that fits, whichever saves more.
fn lever(
    engine: &dyn Engine,
    input: &ProjectInput<'_>,
    settings: &Settings,
    needs: &Needs,
    scheme: Option<&(u64, String)>,
) -> Option<String> {
    let smaller = KvType::parse(if engine.name() == "llama.cpp" { "q8_0" } else { "fp8" }).ok()?;
    let row = engine::row(engine, input, &Settings { kv_k: smaller, kv_v: smaller, ..*settings });
    let cache = needs.cache.zip(Needs::of(&row).cache).and_then(|(now, then)| now.checked_sub(then));
    let weights = scheme.and_then(|(bytes, _)| input.tensor_bytes().checked_sub(*bytes));
    let name = scheme.map_or("", |(_, name)| name.as_str());
    let levers = [(cache, format!("KV {} saves", smaller.name())), (weights, format!("weights as {name} save"))];
    let known = levers.into_iter().filter_map(|(saved, text)| Some((saved.filter(|&s| s > 0)?, text)));
    let (saved, text) = known.reduce(|best, one| if one.0 > best.0 { one } else { best })?;
    Some(format!("{text} {}", Bytes(saved).binary()))
}

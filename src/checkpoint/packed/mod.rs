//! How packed weights are stored, and how many logical weights they hold.
//!
//! A method is recognised by the names, dtypes and shapes of a module's tensors. The configuration comes second: it settles what
//! shapes leave open, and where it says something else than the tensors do, a note says so. Each file
//! names the tool and version its rule was read from or measured on.

mod claim;
mod configured;
pub(super) mod ggml;
mod hints;
mod methods;
mod tensors;
mod unknown;

use serde::Serialize;
use serde_json::Value;

use crate::checkpoint::names::{self, Role};
use crate::dtype::Dtype;
use crate::format::{Format, Shape};
use claim::{Claim, Method};
use configured::Configured;
use methods::METHODS;
use tensors::Tensors;

/// What a tensor is in the checkpoint's bookkeeping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// Weights: its logical parameters count.
    Weight,
    /// Scales, zero points, index tensors, maps and shapes of a quantization: bytes, no parameters.
    Auxiliary,
    /// A buffer that is no weight (`position_ids`, `inv_freq`): bytes and elements, no parameters.
    Buffer,
}

impl Part {
    /// The role of a tensor of this part whose name says `named`: bookkeeping and buffers have roles of their own, and a weight whose
    /// name only looks like bookkeeping (in a model without any) is not recognised.
    pub fn role(self, named: Role) -> Role {
        match (self, named) {
            (Self::Auxiliary, _) => Role::QuantAux,
            (Self::Buffer, _) => Role::Buffer,
            (Self::Weight, Role::QuantAux | Role::Buffer) => Role::Other,
            (Self::Weight, named) => named,
        }
    }
}

/// A recognised way of packing; the names are those of the JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quantization {
    /// `gptq`, `awq`, `bitsandbytes`, `compressed-tensors`, `ggml`, ...
    pub method: String,
    /// Bits of one weight as stored, without scales, where there is one figure.
    pub bits: Option<u32>,
    /// Weights per scale, where there is one figure; `None` for one scale a row, a tensor or a two-dimensional block.
    pub group_size: Option<u64>,
    /// What it was recognised by: tensor names, config keys.
    pub evidence: String,
}

/// A tensor as [`interpret`] looks at it.
#[derive(Debug, Clone, Copy)]
pub struct TensorView<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its element type.
    pub dtype: Dtype,
    /// Dimensions, outermost first.
    pub shape: &'a [u64],
    /// Stored elements.
    pub elements: u64,
    /// Bytes in the file.
    pub bytes: u64,
    /// Whether it is a buffer that is no weight (see [`names::is_buffer`]).
    pub buffer: bool,
}

/// What one tensor means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meaning {
    /// Weight, bookkeeping or buffer.
    pub part: Part,
    /// Logical parameters: weights, packed ones unpacked; 0 for bookkeeping and buffers.
    pub logical_params: u64,
    /// The shape of the weight before it was packed, as a Hugging Face module states it (outermost first); the stored shape for
    /// weights that are not packed. `None` where it is not known.
    pub logical_shape: Option<Shape>,
    /// Bits of one weight as stored, for packed weights.
    pub bits: Option<u32>,
    /// Whether this is a packed weight.
    pub packed: bool,
}

/// What the tensors of a checkpoint mean.
#[derive(Debug, Clone, Default)]
pub struct Interpretation {
    /// The method most packed weights are stored by.
    pub quantization: Option<Quantization>,
    /// One entry a tensor, in the order given.
    pub parts: Vec<Meaning>,
    /// Packed weights whose logical parameters are not known: their stored elements are counted, so the sum is a lower bound.
    pub unresolved: u64,
    /// Remarks, escaped: contradictions of configuration and tensors, second methods, what is not known.
    pub notes: Vec<String>,
}

/// Reads the bytes of a small tensor (at most 64 KiB) by its place in the list; `None` where they cannot be had.
pub type ReadSmall<'a> = &'a dyn Fn(usize) -> Option<Vec<u8>>;

/// Interprets the tensors of one component, from names, shapes and the configuration alone. All shards of a weight set go in
/// together: a weight and its scales may stand in different files.
pub fn interpret(tensors: &[TensorView<'_>], config: Option<&Value>, format: Format) -> Interpretation {
    interpret_with(tensors, config, format, None)
}

/// As [`interpret`], with a way to read small tensors: it settles the shapes that HQQ and compressed-tensors store as tensors and
/// bitsandbytes as JSON text. At most a few bytes are asked for, once a packed module.
///
/// `config` is the whole config.json. Time is linear in the number of tensors.
pub fn interpret_with(
    tensors: &[TensorView<'_>],
    config: Option<&Value>,
    format: Format,
    read_small: Option<ReadSmall<'_>>,
) -> Interpretation {
    interpret_stated(tensors, config, None, format, read_small)
}

/// As [`interpret_with`], with the name of the file that states the quantization: config.json where none is given.
pub(super) fn interpret_stated(
    tensors: &[TensorView<'_>],
    config: Option<&Value>,
    file: Option<&str>,
    format: Format,
    read_small: Option<ReadSmall<'_>>,
) -> Interpretation {
    if format == Format::Gguf {
        return ggml::interpret(tensors);
    }
    let configured = Configured::of(config).in_file(file.unwrap_or("config.json"));
    let anchored: Vec<(usize, &'static Method, &'static str)> = anchors(tensors);
    let mut out = Interpretation { parts: tensors.iter().map(plain).collect(), ..Interpretation::default() };
    if anchored.is_empty() && configured.method.is_none() {
        unknown(&mut out, tensors);
        return out;
    }
    let all = Tensors::new(tensors, config, &configured, read_small);
    let mut claims: Vec<Claim> = Vec::new();
    let mut taken = vec![false; tensors.len()];
    for (index, method, suffix) in anchored {
        let Some(stem) = tensors[index].name.strip_suffix(suffix) else { continue };
        let Some(claim) = (method.claim)(&all, index, stem) else { continue };
        // The first method that recognises a weight has it.
        if std::mem::replace(&mut taken[claim.weight], true) {
            continue;
        }
        apply(&mut out, tensors, &claim);
        claims.push(claim);
    }
    mark_leftovers(&mut out, tensors, &taken, &claims, &configured);
    // A configuration that names a method is asked first: it says what is not understood.
    if !claims.is_empty() || configured.method.is_none() {
        unknown(&mut out, tensors);
    }
    summarise(&mut out, &claims, &configured, config, tensors);
    out
}

/// Whether a configuration names a quantization.
pub(super) fn is_configured(config: Option<&Value>) -> bool {
    Configured::of(config).method.is_some()
}

/// Whether a name ends as that of some method's packed weights or scales.
pub(super) fn is_anchor(name: &str) -> bool {
    let plain = name.ends_with(".weight") || name.ends_with(".bias");
    !plain && METHODS.iter().any(|method| method.anchors.iter().any(|suffix| name.ends_with(suffix)))
}

/// Tensors whose name ends as some method's anchor, with that method, in the order of tensors and then of methods.
fn anchors(tensors: &[TensorView<'_>]) -> Vec<(usize, &'static Method, &'static str)> {
    let mut found = Vec::new();
    for (index, tensor) in tensors.iter().enumerate() {
        // No anchor ends so, and most names do.
        if tensor.buffer || tensor.name.ends_with(".weight") || tensor.name.ends_with(".bias") {
            continue;
        }
        for method in METHODS {
            if let Some(suffix) = method.anchors.iter().find(|suffix| tensor.name.ends_with(**suffix)) {
                found.push((index, *method, *suffix));
            }
        }
    }
    found
}

fn plain(tensor: &TensorView<'_>) -> Meaning {
    if tensor.buffer {
        return Meaning { part: Part::Buffer, logical_params: 0, logical_shape: None, bits: None, packed: false };
    }
    let shape = Some(Shape::from_slice(tensor.shape));
    Meaning { part: Part::Weight, logical_params: tensor.elements, logical_shape: shape, bits: None, packed: false }
}

const AUXILIARY: Meaning = Meaning { part: Part::Auxiliary, logical_params: 0, logical_shape: None, bits: None, packed: false };

fn apply(out: &mut Interpretation, tensors: &[TensorView<'_>], claim: &Claim) {
    let logical = claim.logical.unwrap_or_else(|| {
        out.unresolved += 1;
        tensors[claim.weight].elements
    });
    out.parts[claim.weight] =
        Meaning { part: Part::Weight, logical_params: logical, logical_shape: claim.shape.clone(), bits: claim.bits, packed: true };
    for &index in &claim.auxiliary {
        out.parts[index] = AUXILIARY;
    }
}

/// Says what looks packed and is not understood.
fn unknown(out: &mut Interpretation, tensors: &[TensorView<'_>]) {
    let count = unknown::mark(out, tensors);
    if count > 0 {
        out.unresolved += count;
        out.notes.push(format!("{count} weights of a byte or less have scales beside them in a form that is not known"));
    }
}

/// Bookkeeping that belongs to no packed weight: the scales of a KV cache, the scales transformers writes beside weights that it
/// left in BF16. Only where something is quantized: a plain model may use such a name for a weight.
fn mark_leftovers(
    out: &mut Interpretation,
    tensors: &[TensorView<'_>],
    taken: &[bool],
    claims: &[Claim],
    configured: &Configured<'_>,
) {
    if claims.is_empty() && configured.method.is_none() {
        return;
    }
    let mut beside_plain = 0u64;
    for (index, tensor) in tensors.iter().enumerate() {
        if taken[index] || out.parts[index].part != Part::Weight || !names::is_auxiliary_name(tensor.name) {
            continue;
        }
        out.parts[index] = AUXILIARY;
        beside_plain += u64::from(tensor.name.ends_with("_scale_inv"));
    }
    if beside_plain > 0 {
        out.notes.push(format!("{beside_plain} weights have a scale beside them but are stored unquantized"));
    }
}

fn summarise(
    out: &mut Interpretation,
    claims: &[Claim],
    configured: &Configured<'_>,
    config: Option<&Value>,
    tensors: &[TensorView<'_>],
) {
    let mut counts: Vec<(&'static str, u64)> = Vec::new();
    for claim in claims {
        match counts.iter_mut().find(|(name, _)| *name == claim.method) {
            Some((_, count)) => *count += 1,
            None => counts.push((claim.method, 1)),
        }
    }
    // The most common; of equals the one met first.
    let main = counts.iter().rev().max_by_key(|(_, count)| *count).copied();
    let Some((method, _)) = main else {
        out.quantization = configured.without_packed_weights(tensors, out);
        return;
    };
    for (other, count) in counts.iter().filter(|(name, _)| *name != method) {
        out.notes.push(format!("{count} more weights are packed as {other}"));
    }
    let of_main = || claims.iter().filter(|claim| claim.method == method);
    let same = |mut figures: Box<dyn Iterator<Item = Option<u64>> + '_>| {
        let first = figures.next().flatten()?;
        figures.all(|figure| figure == Some(first)).then_some(first)
    };
    let bits = same(Box::new(of_main().map(|claim| claim.bits.map(u64::from))));
    let group_size = same(Box::new(of_main().map(|claim| claim.group)));
    let mut evidence = evidence(claims, method);
    match configured.method.as_deref() {
        Some(stated) if configured::is_same(stated, method) => evidence.push_str(&format!(", and {} says so", configured.file)),
        Some(stated) => out.notes.push(format!(
            "{} says the quantization method is `{}`, but the tensors are packed as {method}",
            configured.file,
            crate::text::escape_limited(stated, 40)
        )),
        None if config.is_none() => evidence.push_str("; there is no config.json to say so"),
        None => evidence.push_str(&format!("; {} says nothing of it", configured.file)),
    }
    let bits = bits.and_then(|bits| u32::try_from(bits).ok());
    configured.compare_bits(bits, method, out);
    if out.unresolved > 0 {
        out.notes.push(format!(
            "the logical parameters of {} packed weights are not known; their stored elements are counted",
            out.unresolved
        ));
    }
    out.quantization = Some(Quantization { method: method.to_owned(), bits, group_size, evidence });
}

/// What the weights of a method were recognised by, with their number.
fn evidence(claims: &[Claim], method: &str) -> String {
    let mut seen: Vec<(&str, u64)> = Vec::new();
    for claim in claims.iter().filter(|claim| claim.method == method) {
        match seen.iter_mut().find(|(evidence, _)| *evidence == claim.evidence) {
            Some((_, count)) => *count += 1,
            None => seen.push((claim.evidence, 1)),
        }
    }
    let each: Vec<String> = seen.iter().map(|(evidence, count)| format!("{evidence} on {count} weights")).collect();
    each.join(", ")
}

#[cfg(test)]
mod tests;

//! What config.json says about a quantization.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{Interpretation, Quantization, TensorView};
use crate::dtype::{Dtype, DtypeKind};
use crate::families::config_keys::{QUANTIZATION, QUANTIZED_BITS, QUANTIZED_GROUP, text_part};
use crate::text::escape_limited;

/// Bits and group of weights as compressed-tensors states them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scheme {
    pub(super) bits: u64,
    /// Weights per scale; `None` for one scale a row or tensor.
    pub(super) group: Option<u64>,
}

#[derive(Debug, Default)]
pub(super) struct Configured<'a> {
    /// `quant_method`, or what the shape of the section tells (MLX writes none).
    pub(super) method: Option<Cow<'a, str>>,
    /// The file that it stands in.
    pub(super) file: Cow<'a, str>,
    section: Option<&'a Map<String, Value>>,
    /// Overrides by path without what wraps the model; made when first asked for.
    renamed: OnceCell<HashMap<&'a str, (u64, u64)>>,
}

impl<'a> Configured<'a> {
    pub(super) fn of(config: Option<&'a Value>) -> Self {
        let Some(top) = config.and_then(Value::as_object) else { return Self::default() };
        let text = text_part(top);
        let section = QUANTIZATION.names.iter().find_map(|name| {
            let here = |map: &'a Map<String, Value>| map.get(*name).and_then(Value::as_object).filter(|inner| !inner.is_empty());
            here(top).or_else(|| here(text))
        });
        let Some(section) = section else { return Self::default() };
        Self { method: method_of(section), section: Some(section), ..Self::default() }
    }

    /// The same, read from a file of this name.
    pub(super) fn in_file(self, file: &'a str) -> Self {
        Self { file: Cow::Borrowed(file), ..self }
    }

    pub(super) fn is(&self, name: &str) -> bool {
        self.method.as_deref().is_some_and(|stated| is_same(stated, name))
    }

    /// `bits`, of the whole model.
    pub(super) fn bits(&self) -> Option<u64> {
        let section = self.section?;
        let direct = QUANTIZED_BITS.names.iter().find_map(|key| section.get(*key)).and_then(Value::as_u64);
        direct.or_else(|| {
            let schemes = self.schemes();
            schemes.first().filter(|first| schemes.iter().all(|s| s.bits == first.bits)).map(|first| first.bits)
        })
    }

    /// `group_size`, of the whole model; -1 (one group a row) is `None`.
    pub(super) fn group(&self) -> Option<u64> {
        QUANTIZED_GROUP.names.iter().find_map(|key| self.section?.get(*key)).and_then(Value::as_u64).filter(|&g| g > 0)
    }

    /// Bits and group of one module: MLX writes overrides under the module's path.
    pub(super) fn of_module(&self, module: &str) -> Option<(u64, u64)> {
        self.section?.get(module).and_then(Value::as_object).and_then(figures)
    }

    /// Bits and group of the whole model.
    pub(super) fn of_model(&self) -> Option<(u64, u64)> {
        figures(self.section?)
    }

    /// Bits and group of the modules whose paths end as this one's behind all that wraps a model: tools that rename tensors leave the
    /// paths of the overrides as they were.
    pub(super) fn of_renamed_module(&self, module: &str) -> Option<(u64, u64)> {
        let renamed = self.renamed.get_or_init(|| {
            let rows = self.section.into_iter().flatten();
            rows.filter_map(|(path, entry)| Some((unwrapped(path), entry.as_object().and_then(figures)?))).collect()
        });
        renamed.get(unwrapped(module)).copied()
    }

    /// Outputs and inputs of one module: VPTQ writes them under its path.
    pub(super) fn widths_of(&self, module: &str) -> Option<[u64; 2]> {
        let layer = self.section?.get("config_for_layers")?.get(module)?;
        let width = |key: &str| layer.get(key).and_then(Value::as_u64);
        Some([width("out_features")?, width("in_features")?])
    }

    /// The weight schemes of compressed-tensors, one a group of modules.
    pub(super) fn schemes(&self) -> Vec<Scheme> {
        let groups = self.section.and_then(|section| section.get("config_groups")).and_then(Value::as_object);
        let scheme = |group: &Value| {
            let weights = group.get("weights")?;
            let size = weights.get("group_size").and_then(Value::as_u64).filter(|&g| g > 0);
            Some(Scheme { bits: weights.get("num_bits").and_then(Value::as_u64)?, group: size })
        };
        groups.map(|groups| groups.values().filter_map(scheme).collect()).unwrap_or_default()
    }

    /// Notes a label that says less than what is stored: a byte a weight for a 4-bit scheme.
    pub(super) fn compare_bits(&self, bits: Option<u32>, method: &str, out: &mut Interpretation) {
        let stated = self.stated_bits();
        if let (Some(bits), Some(stated)) = (bits, stated)
            && u64::from(bits) != stated
        {
            out.notes.push(format!("{} says {stated} bits, but {method} stores {bits} bits per weight here", self.file));
        }
    }

    fn stated_bits(&self) -> Option<u64> {
        let section = self.section?;
        if let Some(bits) = self.bits() {
            return Some(bits);
        }
        if section.get("load_in_8bit").or_else(|| section.get("_load_in_8bit")).and_then(Value::as_bool) == Some(true) {
            return Some(8);
        }
        if section.get("load_in_4bit").or_else(|| section.get("_load_in_4bit")).and_then(Value::as_bool) == Some(true) {
            return Some(4);
        }
        // torchao: the class of the configuration, or the weight dtype inside it.
        let quant = section.get("quant_type")?.get("default")?;
        let kind = quant.get("_type").and_then(Value::as_str).unwrap_or("");
        if kind.contains("Int4Weight") {
            return Some(4);
        }
        match quant.get("_data")?.get("weight_dtype")?.get("_data")?.as_str()? {
            "int1" => Some(1),
            "int2" => Some(2),
            "int3" => Some(3),
            "int4" => Some(4),
            "int8" => Some(8),
            _ => None,
        }
    }

    /// What to say when the configuration names a method and no packed weight was recognised.
    pub(super) fn without_packed_weights(&self, tensors: &[TensorView<'_>], out: &mut Interpretation) -> Option<Quantization> {
        let stated = self.method.as_deref()?;
        let shown = escape_limited(stated, 40);
        let scales = tensors.iter().filter(|tensor| tensor.name.ends_with("_scale_inv")).count();
        if scales > 0 && self.is("fp8") {
            let evidence = format!("{}, and `weight_scale_inv` on {scales} weights that are stored unquantized", self.file);
            return Some(Quantization { method: "fp8".to_owned(), bits: None, group_size: None, evidence });
        }
        let packed = tensors.iter().zip(&out.parts).filter(|(tensor, meaning)| {
            meaning.part == super::Part::Weight && tensor.shape.len() >= 2 && looks_packed(tensor.dtype)
        });
        let count = packed.count() as u64;
        if count == 0 {
            out.notes.push(format!("{} says the quantization method is `{shown}`, but no weight is packed", self.file));
            return None;
        }
        out.unresolved += count;
        out.notes.push(format!(
            "the packing of `{shown}` is not understood: the stored elements of {count} integer tensors are counted as parameters"
        ));
        let bits = self.stated_bits().and_then(|bits| u32::try_from(bits).ok());
        Some(Quantization { method: stated.to_owned(), bits, group_size: self.group(), evidence: format!("{} alone", self.file) })
    }
}

fn figures(map: &Map<String, Value>) -> Option<(u64, u64)> {
    Some((map.get("bits").and_then(Value::as_u64)?, map.get("group_size").and_then(Value::as_u64)?))
}

/// A module's path without the words that wrap a language model.
fn unwrapped(mut path: &str) -> &str {
    const WRAPPERS: &[&str] = &["model", "language_model", "text_model", "transformer", "thinker", "llm", "backbone"];
    while let Some((first, rest)) = path.split_once('.')
        && WRAPPERS.contains(&first)
    {
        path = rest;
    }
    path
}

fn looks_packed(dtype: Dtype) -> bool {
    dtype.info().is_none_or(|row| matches!(row.kind, DtypeKind::Integer))
}

fn method_of(section: &Map<String, Value>) -> Option<Cow<'_, str>> {
    if let Some(stated) = section.get("quant_method").or_else(|| section.get("quantization_method")).and_then(Value::as_str) {
        return Some(Cow::Borrowed(stated));
    }
    // hf_quant_config.json of ModelOpt.
    if section.contains_key("quant_algo") {
        return Some(Cow::Borrowed("modelopt"));
    }
    if section.contains_key("config_groups") {
        return Some(Cow::Borrowed("compressed-tensors"));
    }
    // MLX: bits and group_size, since 2025 a mode.
    (section.contains_key("bits") && section.contains_key("group_size")).then_some(Cow::Borrowed("mlx"))
}

/// Whether a configuration's name for a method means ours.
pub(super) fn is_same(stated: &str, ours: &str) -> bool {
    let stated = stated.to_ascii_lowercase();
    let stated = match stated.as_str() {
        "auto-round" | "gptq_marlin" | "gptq_v2" => "gptq",
        "awq_marlin" => "awq",
        "bitsandbytes_4bit" | "bitsandbytes_8bit" => "bitsandbytes",
        "compressed_tensors" => "compressed-tensors",
        "modelopt_fp4" | "nvfp4" => "modelopt",
        other => other,
    };
    stated == ours
}

//! The tensors and keys that the converter makes of a folder, before an outtype is chosen.

use super::common_keys::Given;
use super::conversion::{Conversion, ConvertedTensor};
use super::family::{self, FamilyRules};
use super::general::{self, Counts};
use super::hparams::Hparams;
use super::keys::Keys;
use super::stop::Stop;
use super::tokens::Pre;
use super::{dequantize, vocab};
use crate::checkpoint::HfFolder;
use crate::dtype::Dtype;
use crate::families::config_keys::{ConverterPart, LAYERS};
use crate::project::bridge::Group;
use crate::project::input::ProjectInput;
use crate::project::plan::Basis;
use crate::text::escape;

/// What the converter writes, but for the types, which the outtype decides.
#[derive(Debug)]
pub(crate) struct ConvertedModel {
    pub(super) tensors: Vec<ConvertedTensor>,
    pub(super) keys: Keys,
    pub(super) arch: &'static str,
    pub(crate) auto: Dtype,
    pub(super) basis: Basis,
    pub(super) pre: Pre,
    pub(super) left_out: Vec<(Group, u64)>,
    pub(super) notes: Vec<String>,
}

/// `None` for a family whose conversion is not known; otherwise the conversion, or why the converter stops.
pub(crate) fn convert(input: &ProjectInput<'_>, folder: &HfFolder) -> Option<Result<ConvertedModel, Stop>> {
    Some(family_of(folder)?.and_then(|(family, mut settings)| {
        let mut conversion = without_vocabulary(input, folder, &family, &mut settings)?;
        conversion.pre = vocab::add(&mut conversion.keys, family.row.vocabulary, folder, &mut settings)?;
        Ok(conversion)
    }))
}

/// The row of a folder's family and its settings; `None` for a family that has none.
pub(super) fn family_of(folder: &HfFolder) -> Option<Result<(FamilyRules, Hparams), Stop>> {
    if let (true, Some(reason)) = (folder.config.is_empty(), &folder.refusal) {
        // config.json is there and could not be read: which family it is, is not known.
        return Some(Err(Stop::new(reason.as_str())));
    }
    let settings = Hparams::new(&folder.config, false);
    let family = family::of(settings.architecture()?)?;
    if settings.model_type().is_some_and(|model_type| family.row.handed_on.contains(&model_type)) {
        return None;
    }
    let settings = if family.row.raw_config { Hparams::new(&folder.config, true) } else { settings };
    Some(Ok((family, settings)))
}

/// The tensors, and the keys but for the tokenizer's.
pub(super) fn without_vocabulary(
    input: &ProjectInput<'_>,
    folder: &HfFolder,
    family: &FamilyRules,
    settings: &mut Hparams,
) -> Result<ConvertedModel, Stop> {
    if let Some(reason) = &folder.refusal {
        return Err(Stop::new(reason.as_str()));
    }
    if folder.order.is_empty() {
        return Err(Stop::new("the converter reads files named model*.safetensors; there are none"));
    }
    let mut blocks = settings.need(LAYERS.asked_by(ConverterPart::Shared))?;
    if family.row.predicts_further {
        blocks = blocks.saturating_add(settings.count("num_nextn_predict_layers").unwrap_or(0));
    }
    let loading = dequantize::load(input, folder, family, settings)?;
    let mut conversion = Conversion::new(family.arch, family.row, settings, folder, blocks);
    for t in &loading.first {
        conversion.write_kept(t)?;
    }
    if loading.first.iter().any(|t| t.fixed == Some(Dtype::NVFP4)) {
        conversion.notes.push("scales beside NVFP4 are counted; the converter leaves out those that are exactly 1".to_owned());
    }
    (family.start)(&mut conversion)?;
    for t in &loading.rest {
        (family.tensor)(&mut conversion, t)?;
    }
    conversion.finish()?;
    let Conversion { out: tensors, doubtful, mut notes, .. } = conversion;
    if tensors.is_empty() {
        return Err(Stop::new("no tensor would be written"));
    }
    let mut seen = std::collections::HashSet::with_capacity(tensors.len());
    if let Some(t) = tensors.iter().find(|t| !seen.insert(t.name.as_str())) {
        return Err(Stop::new(format!("two tensors would be named `{}`: the converter stops", escape(&t.name))));
    }
    let mut keys = Keys::new(family.arch);
    general::add(&mut keys, folder, &counts(&tensors));
    (family.keys)(&mut keys, &mut Given { family: family.row, hparams: settings, folder, blocks })?;
    notes.extend(folder.notes.iter().cloned());
    let basis = if doubtful || !folder.notes.is_empty() { Basis::Estimate } else { Basis::Exact };
    let written: u64 = tensors.iter().fold(0, |n, t| n.saturating_add(t.origin.bytes));
    let mut left_out = loading.left_out;
    let kept_out: u64 = left_out.iter().fold(0, |n, (_, b)| n.saturating_add(*b));
    // Whatever a family drops while it works: prediction layers, tied heads, activation scales.
    let dropped = input.tensor_bytes().saturating_sub(written.saturating_add(kept_out));
    if dropped > 0 {
        left_out.push((Group::Others, dropped));
    }
    let auto = loading.auto.unwrap_or(Dtype::F16);
    Ok(ConvertedModel { tensors, keys, arch: family.arch, auto, basis, pre: Pre::Known, left_out, notes })
}

fn counts(tensors: &[ConvertedTensor]) -> Counts {
    let mut counts = Counts::default();
    let (mut sum, mut stacks) = (0u64, 0u64);
    for t in tensors {
        let n = t.elements().unwrap_or(u64::MAX);
        let dims = t.shape.len();
        if t.name.contains("_exps.") && dims >= 3 {
            let experts = t.shape[dims - if t.name.contains(".bias") { 2 } else { 3 }];
            counts.expert = counts.expert.saturating_add(n / experts.max(1));
            sum = sum.saturating_add(experts);
            stacks += 1;
        } else {
            counts.shared = counts.shared.saturating_add(n);
        }
        counts.total = counts.total.saturating_add(n);
    }
    counts.experts = sum.checked_div(stacks).unwrap_or(0);
    counts
}

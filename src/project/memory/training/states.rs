//! Weights, gradients and optimizer states, and which of them a ZeRO stage shards.
//!
//! Source: ZeRO paper (arXiv 1910.02054): stage 1 shards the optimizer states with the fp32 weights, 2 the gradients too, 3 the
//! weights too (as FSDP does); DeepSpeed `runtime/zero/stage3.py` and `stage_1_and_2.py` estimators for what else they hold.

use super::model::Parameters;
use super::recipe::{Row, States};
use super::request::TrainRequest;
use crate::project::memory::terms::Term;
use crate::project::plan::Basis;

/// A part of the states on one device: whole below `from_stage`, its share from there on. Routed experts may have a share of their own.
fn share(bytes: u64, weights: &Parameters, asked: &TrainRequest, from_stage: u8) -> u64 {
    if asked.zero < from_stage {
        return bytes;
    }
    let Some((experts, over)) = weights.experts else { return bytes.div_ceil(asked.dp) };
    let of_experts = u128::from(bytes) * u128::from(experts) / u128::from(weights.params.max(1));
    let of_experts = u64::try_from(of_experts).unwrap_or(u64::MAX).min(bytes);
    (bytes - of_experts).div_ceil(asked.dp).saturating_add(of_experts.div_ceil(over.max(1)))
}

fn over(asked: &TrainRequest, from_stage: u8) -> String {
    if asked.zero >= from_stage && asked.dp > 1 { format!(" / {} devices", asked.dp) } else { String::new() }
}

/// The model states of one device.
pub(super) fn terms(row: &Row, weights: &Parameters, asked: &TrainRequest) -> Vec<Term> {
    let p = weights.params;
    let mut terms = Vec::new();
    let mut add = |name: &'static str, each: u64, stage: u8, what: &str| {
        if each > 0 {
            let text = format!("{p} parameters x {each} bytes{}{what}", over(asked, stage));
            terms.push(Term::known(name, share(p.saturating_mul(each), weights, asked, stage), Basis::Exact, text));
        }
    };
    add("weights", row.weights, 3, &format!("; recipe from {}", row.source));
    add("gradients", row.gradients, 2, "");
    add("fp32_gradients", row.fp32_gradients, 1, "");
    add("master_weights", row.master, 1, ", fp32");
    let (bytes, text) = optimizer_states(row.states, weights);
    if bytes > 0 {
        let text = format!("{text}{}", over(asked, 1));
        terms.push(Term::known("optimizer_states", share(bytes, weights, asked, 1), Basis::Exact, text));
    }
    if let Some(gradients) = terms.iter_mut().find(|t| t.name == "gradients")
        && asked.zero == 2
        && row.fp32_gradients > 0
        && asked.dp > 1
    {
        // DeepSpeed's estimator code shards the 16-bit gradients (2P + 18P/N), its documentation does not (4P + 16P/N).
        let whole = p.saturating_mul(row.gradients);
        let text = format!("{}; whole by DeepSpeed's documentation, sharded by its code", gradients.formula);
        *gradients = Term::range("gradients", gradients.low.unwrap_or(0), whole, text);
    }
    terms.extend(moving(row, weights, asked));
    terms
}

/// Optimizer states of the whole model.
pub(super) fn optimizer_states(states: States, weights: &Parameters) -> (u64, String) {
    let sum = |f: &dyn Fn(&[u64], u64) -> u64| weights.tensors.iter().fold(0u64, |n, (shape, p)| n.saturating_add(f(shape, *p)));
    match states {
        States::PerParam(each) => (weights.params.saturating_mul(each), format!("{} parameters x {each} bytes", weights.params)),
        States::Blockwise8Bit => {
            // bitsandbytes `min_8bit_size` = 4096, block of 256.
            let bytes = sum(&|_, n| {
                if n < 4096 { n.saturating_mul(8) } else { n.saturating_mul(2).saturating_add(n.div_ceil(256).saturating_mul(8)) }
            });
            (bytes, "2 bytes a value + 2 fp32 maxima per 256 (2.03125); 8 bytes in tensors under 4,096 values".to_owned())
        }
        States::Factored => {
            let bytes = sum(&|shape, n| match shape {
                [outer @ .., rows, columns] => {
                    let matrices = outer.iter().fold(1u64, |n, &d| n.saturating_mul(d));
                    matrices.saturating_mul(rows.saturating_add(*columns)).saturating_mul(4)
                }
                _ => n.saturating_mul(4),
            });
            (bytes, "4 x (rows + columns) of each matrix, 4 bytes a value of vectors".to_owned())
        }
    }
}

/// Buffers between devices.
fn moving(row: &Row, weights: &Parameters, asked: &TrainRequest) -> Option<Term> {
    if asked.dp == 1 {
        return None;
    }
    match asked.zero {
        0 => {
            let copy = weights.params.saturating_mul(row.gradients);
            let text = "DDP buckets: nothing with gradient_as_bucket_view, else up to one copy of the gradients";
            Some(Term::range("gradient_buckets", 0, copy, text.to_owned()))
        }
        3 => {
            let text =
                format!("4 bytes x {} parameters of the largest module, gathered; DeepSpeed's estimator", weights.largest_module);
            Some(Term::known("gathered_parameters", weights.largest_module.saturating_mul(4), Basis::Estimate, text))
        }
        _ => None,
    }
}

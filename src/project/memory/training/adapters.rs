//! LoRA and QLoRA: a frozen base, and adapters that are trained.

use super::model::{Parameters, trained};
use super::recipe::ADAM_MIXED;
use super::request::TrainRequest;
use crate::checkpoint::Role;
use crate::project::input::ProjectInput;
use crate::project::memory::terms::Term;
use crate::project::plan::Basis;
use crate::project::quantize::Target;
use crate::project::quantize::options::Options;
use crate::project::quantize::{self, Context};

/// Parameters of adapters on every linear layer of attention and dense feed-forward: rank x (in + out) each.
pub(super) fn trainable(input: &ProjectInput<'_>, rank: u64) -> u64 {
    trained(input)
        .filter(|t| matches!(t.role, Role::Attention | Role::Mlp | Role::SharedExpert))
        .filter_map(|t| match t.logical_shape.as_ref().unwrap_or(&t.shape).as_slice() {
            [out, inner] => Some(rank.saturating_mul(out.saturating_add(*inner))),
            _ => None,
        })
        .fold(0, u64::saturating_add)
}

/// Base and adapters on one device. The base is sharded by ZeRO stage 3 only.
pub(super) fn terms(input: &ProjectInput<'_>, rank: u64, quantized: bool, asked: &TrainRequest) -> Vec<Term> {
    let shards = if asked.zero == 3 { asked.dp } else { 1 };
    let base = if quantized { nf4(input, shards) } else { frozen(Parameters::of(input).params, shards) };
    let n = trainable(input, rank);
    if n == 0 {
        return vec![base, Term::refused("adapter_weights", "no linear layers of attention or dense feed-forward were recognised")];
    }
    let mut terms = vec![base];
    terms.extend(trained_terms((n, n), rank, asked));
    terms
}

/// A frozen base of `base` parameters in 16 bits, and adapters of `rank` with the least and the most parameters given, on one of
/// several devices.
pub(super) fn spread_terms(base: u64, adapters: (u64, u64), rank: u64, asked: &TrainRequest) -> Vec<Term> {
    let mut terms = vec![frozen(base, if asked.zero == 3 { asked.dp } else { 1 })];
    terms.extend(trained_terms(adapters, rank, asked));
    terms
}

/// What is trained: 16 to 18 bytes a parameter in all, with 16-bit or fp32 gradients.
fn trained_terms((least, most): (u64, u64), rank: u64, asked: &TrainRequest) -> Vec<Term> {
    let whole = |n: u64, bytes: u64, stage: u8| {
        let all = n.saturating_mul(bytes);
        if asked.zero >= stage { all.div_ceil(asked.dp) } else { all }
    };
    let count = if least == most { format!("{most}") } else { format!("{least} to {most}") };
    let text = |bytes: &str| {
        format!("{count} adapter parameters (rank {rank}, all linear layers of attention and dense mlp) x {bytes} bytes")
    };
    let known = |name, bytes: u64, stage| {
        let (low, high, text) = (whole(least, bytes, stage), whole(most, bytes, stage), text(&bytes.to_string()));
        if low == high { Term::known(name, low, Basis::Exact, text) } else { Term::range(name, low, high, text) }
    };
    vec![
        known("adapter_weights", ADAM_MIXED.weights, 3),
        Term::range("gradients", whole(least, 2, 2), whole(most, 4, 2), text("2 to 4")),
        known("master_weights", ADAM_MIXED.master, 1),
        known("optimizer_states", 8, 1),
    ]
}

fn frozen(params: u64, shards: u64) -> Term {
    let text = format!("{params} frozen parameters x 2 bytes{}", over(shards));
    Term::known("weights", params.saturating_mul(2).div_ceil(shards), Basis::Exact, text)
}

/// The base as bitsandbytes writes it: with double quantization at least, without at most.
fn nf4(input: &ProjectInput<'_>, shards: u64) -> Term {
    let context = Context::new(input, Options::default());
    let bytes = |name: &str| quantize::row(&context, &Target::parse(name)).tensor_bytes;
    match (bytes("bnb-nf4-dq"), bytes("bnb-nf4")) {
        (Some(low), Some(high)) => {
            let text = format!("the base in bnb-nf4-dq to bnb-nf4, heads and embeddings in 16 bits{}", over(shards));
            Term::range("weights", low.div_ceil(shards), high.div_ceil(shards), text)
        }
        _ => Term::refused("weights", "the size of the base in NF4 could not be projected (`weigh project --to bnb-nf4` says why)"),
    }
}

fn over(shards: u64) -> String {
    if shards > 1 { format!(" / {shards} devices") } else { String::new() }
}

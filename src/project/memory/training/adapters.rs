//! LoRA and QLoRA: a frozen base, and adapters that are trained.

use super::TrainRequest;
use super::model::{Weights, trained};
use super::recipe::ADAM_MIXED;
use crate::checkpoint::Role;
use crate::project::input::ProjectInput;
use crate::project::memory::Term;
use crate::project::storage::scheme::{self, Context};
use crate::project::storage::{Basis, Options, Target};

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
    let weights = Weights::of(input);
    let shards = if asked.zero == 3 { asked.dp } else { 1 };
    let base = if quantized { nf4(input, shards) } else { frozen(weights.params, shards) };
    let n = trainable(input, rank);
    if n == 0 {
        return vec![base, Term::refused("adapter_weights", "no linear layers of attention or dense feed-forward were recognised")];
    }
    let whole = |bytes: u64, stage: u8| {
        let all = n.saturating_mul(bytes);
        if asked.zero >= stage { all.div_ceil(asked.dp) } else { all }
    };
    let text =
        |bytes: &str| format!("{n} adapter parameters (rank {rank}, all linear layers of attention and dense mlp) x {bytes} bytes");
    let known = |name, bytes: u64, stage| Term::known(name, whole(bytes, stage), Basis::Exact, text(&bytes.to_string()));
    vec![
        base,
        known("adapter_weights", ADAM_MIXED.weights, 3),
        // 16 to 18 bytes in all: 16-bit or fp32 gradients.
        Term::range("gradients", whole(2, 2), whole(4, 2), text("2 to 4")),
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
    let bytes = |name: &str| scheme::row(&context, &Target::parse(name)).tensor_bytes;
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

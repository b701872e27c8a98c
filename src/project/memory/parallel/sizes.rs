//! Which parallel sizes a model has.

use super::convention::{Convention, MOST_DEVICES, Padding, Parallel};
use crate::checkpoint::{KvKind, KvLayers, Role};
use crate::project::input::ProjectInput;

/// Rows of the vocabulary on all ranks together. Sources: vLLM `DEFAULT_VOCAB_PADDING_SIZE` = 64; Megatron-LM
/// `make-vocab-size-divisible-by` = 128, times the ranks.
pub(super) fn padded_vocabulary(rows: u64, padding: Padding, ranks: u64) -> u64 {
    let to = match padding {
        Padding::None => 1,
        Padding::To(rows) => rows,
        Padding::PerRank(rows) => ranks.saturating_mul(rows),
    };
    rows.checked_next_multiple_of(to.max(1)).unwrap_or(u64::MAX)
}

/// # Errors
/// Which size is not valid, and which are.
pub(super) fn check(input: &ProjectInput<'_>, parallel: &Parallel, convention: &Convention) -> Result<(), String> {
    if parallel.tp > 1 {
        tensor(input, parallel.tp, convention)?;
    }
    if parallel.ep > 1 {
        experts(input, parallel, convention)?;
    }
    Ok(())
}

fn tensor(input: &ProjectInput<'_>, ranks: u64, convention: &Convention) -> Result<(), String> {
    if let Err(reason) = convention.cutting {
        return Err(format!("tp {ranks}: {reason}"));
    }
    let why = match obstacle(input, ranks, convention) {
        Some(why) => why,
        None => return Ok(()),
    };
    let Some(heads) = input.model.heads else { return Err(why) };
    let valid: Vec<String> =
        (1..=heads.min(MOST_DEVICES)).filter(|&n| obstacle(input, n, convention).is_none()).map(|n| n.to_string()).collect();
    Err(format!("{why}; valid for {}: tp {}", convention.name, valid.join(", ")))
}

/// The reason why a model cannot be cut over this many ranks.
fn obstacle(input: &ProjectInput<'_>, ranks: u64, convention: &Convention) -> Option<String> {
    let model = input.model;
    let does_not = |what: &str, n: u64| Some(format!("{what} of {n} do not divide over tp {ranks}"));
    let Some(heads) = model.heads else { return Some("the number of attention heads is not known".to_owned()) };
    if !heads.is_multiple_of(ranks) {
        return Some(format!("{heads} attention heads do not divide over tp {ranks}"));
    }
    let kv_heads: Vec<u64> = match &model.kv {
        KvLayers::Known(layers) => {
            let heads = layers.iter().filter(|l| matches!(l.kind, KvKind::Full | KvKind::Sliding | KvKind::Chunked));
            heads.map(|l| l.kv_heads).collect()
        }
        _ => model.kv_heads.into_iter().collect(),
    };
    let repeats = convention.cutting.is_ok_and(|cutting| cutting.repeats_kv_heads);
    for kv in kv_heads {
        let repeated = repeats && kv > 0 && ranks.is_multiple_of(kv);
        let divides = kv.is_multiple_of(ranks);
        if !divides && !repeated {
            return Some(format!("{kv} key/value heads do not divide over tp {ranks}, nor repeat over it"));
        }
    }
    let dense = input.tensors.iter().any(|t| t.role == Role::Mlp);
    let widths = [model.ffn_size.filter(|_| dense), model.expert_ffn_size];
    let group = input.quantization.and_then(|q| q.group_size).filter(|_| input.is_packed());
    for width in widths.into_iter().flatten() {
        if !width.is_multiple_of(ranks) {
            return does_not("feed-forward columns", width);
        }
        if let Some(group) = group.filter(|&g| !(width / ranks).is_multiple_of(g.max(1))) {
            return Some(format!("{} feed-forward columns of a rank (tp {ranks}) do not fill groups of {group}", width / ranks));
        }
    }
    let inner = model.head_dim.and_then(|d| d.checked_mul(heads)).filter(|_| model.mla.is_none());
    if let (Some(inner), Some(group)) = (inner, group)
        && !(inner / ranks).is_multiple_of(group.max(1))
    {
        return Some(format!("{} attention columns of a rank (tp {ranks}) do not fill groups of {group}", inner / ranks));
    }
    if let (padding @ Padding::To(to), Some(rows)) = (convention.padding(), model.vocab_size) {
        let padded = padded_vocabulary(rows, padding, ranks);
        if !padded.is_multiple_of(ranks) {
            return does_not(&format!("the vocabulary's {rows} tokens, padded to {to},"), padded);
        }
    }
    None
}

fn experts(input: &ProjectInput<'_>, parallel: &Parallel, convention: &Convention) -> Result<(), String> {
    let ep = parallel.ep;
    if let Some(reason) = convention.no_experts {
        return Err(format!("ep {ep}: {reason}"));
    }
    let Some(experts) = input.model.experts.filter(|&n| n > 0) else {
        return Err(format!("ep {ep}: this model has no routed experts; ep 1 is valid"));
    };
    if ep > experts {
        return Err(format!("ep {ep} is more than the {experts} experts of a layer"));
    }
    let ranks = parallel.tp.saturating_mul(parallel.dp);
    if convention.experts_over_replicas {
        if ep != ranks {
            return Err(format!(
                "{} shares experts over all tp x dp = {ranks} ranks: ep {ranks} or ep 1 is valid",
                convention.name
            ));
        }
    } else if !parallel.dp.is_multiple_of(ep) {
        return Err(format!("ep {ep} does not divide dp {}: expert ranks are drawn from the replicas", parallel.dp));
    } else if !experts.is_multiple_of(ep) {
        return Err(format!("{experts} experts do not divide over ep {ep}"));
    }
    Ok(())
}

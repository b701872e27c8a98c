//! What a set holds when it is no weights of a model: the state of a training run, an importance matrix. Told by its tensors.

use super::super::CheckpointFile;
use crate::format::{Container, Format};

/// Last pieces of the names of optimizer state: torch.optim's (`exp_avg` of Adam, `momentum_buffer` of SGD, `square_avg` of RMSprop, `acc_delta`
/// of Adadelta, the factors of Adafactor), bitsandbytes' 8-bit optimizers (`state1`, `absmax1`, `qmap1`), those of MLX (`m`, `v`), the
/// gradient scaler's (`_growth_tracker`), and random-number state as Accelerate and LeRobot keep it.
const LEAVES: [&str; 43] = [
    "exp_avg",
    "exp_avg_sq",
    "max_exp_avg_sq",
    "exp_avg_diff",
    "exp_avg_slow",
    "exp_avg_fast",
    "exp_avg_sq_row",
    "exp_avg_sq_col",
    "exp_avg_res_row",
    "exp_avg_res_col",
    "exp_inf",
    "exp_avg_lr_1",
    "momentum_buffer",
    "momentum_cache",
    "square_avg",
    "grad_avg",
    "acc_delta",
    "prev_grad",
    "neg_pre_grad",
    "state1",
    "state2",
    "absmax1",
    "absmax2",
    "qmap1",
    "qmap2",
    "new_max1",
    "new_max2",
    "m",
    "v",
    "master_param",
    "fp32_param",
    "growth_tracker",
    "_growth_tracker",
    "growth_factor",
    "torch_rng_state",
    "cpu_rng_state",
    "cuda_rng_state",
    "numpy_rng_state",
    "python_rng_state",
    "rng_state",
    "random_state",
    "random_number_state",
    "mt19937",
];

/// Pieces that say it anywhere in a name: the trees of optax (`mu`, `nu`), and what whole dumps of a run call their parts.
const PIECES: [&str; 17] = [
    "exp_avg",
    "exp_avg_sq",
    "momentum_buffer",
    "optimizer",
    "optimizer_state",
    "optimizer_states",
    "optim",
    "opt_state",
    "lr_scheduler",
    "lr_schedulers",
    "grad_scaler",
    "rng_states",
    "rng_state",
    "random_states",
    "torch_rng_state",
    "cuda_rng_state",
    "numpy_rng_state",
];

/// Why the files hold no weights; `None` where they do. Looks at one tensor of most files: the first that is a weight settles it.
pub(super) fn no_weights(files: &[CheckpointFile], set: &[usize]) -> Option<&'static str> {
    let first = &files[*set.first()?].container;
    if first.format == Format::Gguf {
        return is_imatrix(first).then_some("importance matrix of a quantization: no weights");
    }
    let mut told = None;
    for container in set.iter().map(|&i| &files[i].container) {
        for info in &container.tensors {
            let name = container.name(info);
            let random = name.contains("rng_state") || name.contains("random_state");
            if is_state(&name) {
                told = told.or(Some(if random {
                    "random-number state of a training run: no weights"
                } else {
                    "optimizer state: no weights"
                }));
            } else if info.elements > 1 {
                return None;
            }
        }
    }
    told
}

/// llama-imatrix writes `general.type`; before that, and in files of other tools, its own keys and tensors tell.
pub(crate) fn is_imatrix(container: &Container) -> bool {
    let all_sums = || {
        let sums = |name: &str| name.ends_with(".in_sum2") || name.ends_with(".counts");
        !container.tensors.is_empty() && container.tensors.iter().all(|t| sums(&container.name(t)))
    };
    container.metadata.text("general.type") == Some("imatrix")
        || container.metadata.get("imatrix.chunk_count").is_some()
        || all_sums()
}

fn is_state(name: &str) -> bool {
    let mut pieces = name.split(['.', '/', ':']);
    let leaf = pieces.clone().next_back().unwrap_or(name);
    // Accelerate numbers them: `random_states_0`, `torch_cuda_manual_seed`.
    let counted = leaf.trim_end_matches(|c: char| c.is_ascii_digit() || c == '_');
    let tree = |piece: &str| matches!(piece, "mu" | "nu");
    // `state.0.step`, `state/12/exp_avg`: how torch numbers the state of each parameter.
    let numbered = || {
        let mut of_state = name.split(['.', '/']);
        of_state.next() == Some("state") && of_state.next().is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    };
    LEAVES.contains(&leaf)
        || LEAVES.contains(&counted)
        || leaf.ends_with("_rng_state")
        || leaf.starts_with("random_states")
        || numbered()
        || pieces.any(|piece| PIECES.contains(&piece) || tree(piece))
}

#[cfg(test)]
mod tests {
    use super::is_state;

    #[test]
    fn names_of_training_state() {
        for (name, state) in [
            ("model.layers.0.self_attn.q_proj.weight.exp_avg", true),
            ("state/0/exp_avg_sq", true),
            ("state.12.step", true),
            ("model.layers.0.mlp.up_proj.weight.v", true),
            ("0.momentum_buffer", true),
            ("torch_rng_state", true),
            ("random_states_0", true),
            ("optimizer.state.model.norm.weight.exp_avg", true),
            ("0.mu.params.dense.kernel", true),
            ("model.layers.0.self_attn.q_proj.weight", false),
            ("momentum_encoder.layers.0.weight", false),
            ("encoder.state_proj.weight", false),
            ("state.weight", false),
            ("blocks.0.self_attn.v.weight", false),
        ] {
            assert_eq!(is_state(name), state, "{name}");
        }
    }
}

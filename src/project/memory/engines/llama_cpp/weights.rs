//! Weights: as they stand in the file, and the copy that CPUs with the kernels for it make in an order of their own.
//!
//! Source: `llama-model.cpp`, `ggml-cpu/amx/{amx,mmq}.cpp` (`get_row_size`), `ggml-cpu/repack.cpp` of llama.cpp
//! ([`crate::pins::LLAMA_CPP`]). The sums of the AMX copy are those that the runs in `fixtures/memory` printed.

use super::options::LoadMode;
use crate::dtype::Dtype;
use crate::format::Format;
use crate::project::input::{ProjectInput, ProjectTensor};
use crate::project::memory::parallel::is_input;
use crate::project::memory::request::Settings;
use crate::project::memory::terms::Term;
use crate::project::plan::Basis;

/// Bytes of the weights by where they go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Weights {
    /// All of the model, each tensor padded to 32.
    pub(super) all: u64,
    /// Routed experts that stay in host memory.
    pub(super) host_experts: u64,
    /// The copy of what can be repacked, at most.
    pub(super) repacked: u64,
    /// What a load without mapping keeps besides that copy.
    pub(super) kept: u64,
    /// The largest tensor that is repacked: it is read whole before it is.
    pub(super) largest_repacked: u64,
}

fn padded(t: &ProjectTensor<'_>) -> u64 {
    t.bytes.checked_next_multiple_of(32).unwrap_or(u64::MAX)
}

/// Bytes of a matrix after repacking; `None` where no kernel takes it. AMX kernels add a compensation to some types; the others
/// keep the size.
fn repacked(t: &ProjectTensor<'_>) -> Option<u64> {
    let (k, n) = (t.row_len(), t.shape.len().checked_sub(2).map(|i| t.shape[i])?);
    let matrix = t.effective_dims() == 2;
    let per_block = |elements: u64, bytes: u64| (k % elements == 0 && n % 32 == 0).then(|| (k / elements).saturating_mul(bytes));
    let amx = match t.dtype {
        _ if !matrix => None,
        Dtype::Q4_0 => per_block(32, 18),
        Dtype::Q4_1 => per_block(32, 20),
        Dtype::Q8_0 => per_block(32, 34 + 4),
        Dtype::Q4_K => per_block(256, 144 + 4),
        Dtype::Q5_K => per_block(256, 176 + 4),
        Dtype::Q6_K => per_block(256, 210),
        Dtype::IQ4_XS => per_block(256, 136 + 2),
        Dtype::F16 => per_block(16, 32),
        _ => None,
    };
    let interleaved =
        matches!(t.dtype, Dtype::Q4_0 | Dtype::Q4_K | Dtype::Q2_K | Dtype::Q6_K | Dtype::IQ4_NL | Dtype::MXFP4) && n % 8 == 0;
    let same = (interleaved && matches!(t.effective_dims(), 2 | 3)).then_some(t.bytes);
    amx.map(|row| row.saturating_mul(n)).max(same)
}

impl Weights {
    pub(super) fn of(input: &ProjectInput<'_>, settings: &Settings) -> Self {
        let mut out = Self::default();
        let gguf = input.format == Some(Format::Gguf);
        let tied = !input.tensors.iter().any(|t| t.name == "output.weight");
        for (place, t) in input.tensors.iter().enumerate() {
            if input.gguf.as_ref().is_some_and(|g| g.is_beside(place)) {
                continue;
            }
            let bytes = padded(t);
            out.all = out.all.saturating_add(bytes);
            if t.layer.is_some_and(|l| u64::from(l) < settings.llama_cpp.cpu_experts) && t.name.contains("_exps.") {
                out.host_experts = out.host_experts.saturating_add(bytes);
            }
            // A tied head is a second use of the embedding, which itself stays as it is.
            let embedding = t.name == "token_embd.weight";
            let multiplied =
                t.name.ends_with(".weight") && (!embedding || tied) && !t.name.contains("_norm.") && !t.name.contains("conv");
            match repacked(t).filter(|_| gguf && multiplied) {
                Some(copy) => {
                    out.repacked = out.repacked.saturating_add(copy);
                    out.largest_repacked = out.largest_repacked.max(bytes);
                    out.kept = out.kept.saturating_add(if embedding { bytes } else { 0 });
                }
                None => out.kept = out.kept.saturating_add(bytes),
            }
        }
        out
    }

    /// The terms of the device, and those of the host.
    pub(super) fn terms(&self, input: &ProjectInput<'_>, settings: &Settings) -> (Term, Vec<Term>) {
        let mut host = Vec::new();
        let on_device = self.all.saturating_sub(self.host_experts);
        if self.host_experts > 0 {
            let text = format!(
                "routed experts of the first {} layers (--cpu-experts), each tensor padded to 32",
                settings.llama_cpp.cpu_experts
            );
            host.push(Term::known("expert_weights", self.host_experts, Basis::Exact, text));
        }
        if input.format != Some(Format::Gguf) {
            let text = "stored bytes; llama.cpp needs a GGUF, whose size `project --to gguf:...` tells";
            return (Term::known("weights", on_device, Basis::Estimate, text.to_owned()), host);
        }
        let repacks = settings.llama_cpp.repack && self.repacked > 0;
        if settings.llama_cpp.load_mode == LoadMode::None && repacks {
            let both = self.kept.saturating_add(self.repacked).saturating_sub(self.host_experts);
            let text = "tensor bytes, each padded to 32, read into memory; where the processor has kernels for it, what can be is repacked \
                        instead (--no-repack keeps it as it is)";
            return (Term::range("weights", on_device.min(both), on_device.max(both), text.to_owned()), host);
        }
        let how = match settings.llama_cpp.load_mode {
            LoadMode::Mmap => "mapped from the file",
            LoadMode::None => "read into memory",
        };
        if repacks {
            let text = format!(
                "a copy beside the mapped file where the processor has kernels for it: 0 to {} B (AMX sizes); none with --no-repack or on \
                 a GPU (ggml-cpu/amx, repack.cpp)",
                self.repacked
            );
            host.push(Term::range("repacked_weights", 0, self.repacked, text));
        }
        let text = format!("tensor bytes, each padded to 32, {how} (llama-model-loader.cpp)");
        (Term::known("weights", on_device, Basis::Exact, text), host)
    }
}

/// What lies beside the model: an adapter, a projector, a draft model.
pub(super) fn beside(input: &ProjectInput<'_>) -> Vec<Term> {
    let Some(gguf) = &input.gguf else { return Vec::new() };
    gguf.beside
        .iter()
        .map(|other| {
            let bytes = other.tensors.iter().filter_map(|&i| input.tensors.get(i)).fold(0u64, |n, t| n.saturating_add(padded(t)));
            let (name, text) = match other.name.as_str() {
                "mmproj" => ("mmproj", "weights of the projector; its buffers depend on the size of the images"),
                name if name.starts_with("adapter") => ("adapter", "weights of the adapter (--lora)"),
                _ => (
                    "draft_model",
                    "weights of a second model beside this one (--model-draft); its cache: `weigh memory` on its file",
                ),
            };
            Term::known(name, bytes, Basis::Exact, format!("{text}: {}", crate::text::escape(&other.name)))
        })
        .collect()
}

/// The input embeddings, which stay in host memory where devices hold the layers (`llama-model.cpp`, `load_tensors`).
pub(super) fn embedding(input: &ProjectInput<'_>) -> Option<Term> {
    let tokens = input.tensors.iter().filter(|t| is_input(t));
    let bytes = tokens.fold(0u64, |n, t| n.saturating_add(padded(t)));
    let text = "the input embedding is not moved to a device (llama-model.cpp)";
    (bytes > 0).then(|| Term::known("embedding_weights", bytes, Basis::Exact, text.to_owned()))
}

//! llama.cpp: cells and streams, caches and states, the compute buffer of its graph.
//!
//! Source: llama.cpp ([`pins::LLAMA_CPP`]); each file names its sources.

mod bounds;
mod build;
mod cache;
mod cells;
mod compute;
mod graph;
pub(in crate::project::memory) mod options;
mod resident;
mod sheet;
mod weights;

use crate::checkpoint::{KvKind, KvLayer, KvLayers, ModelConfig};
use crate::families::by_model_type;
use crate::families::cache::GgufCache;
use crate::pins;
use crate::project::input::ProjectInput;
use crate::project::memory::engine::{Engine, Schemes};
use crate::project::memory::kv_type::KvType;
use crate::project::memory::limits::Takes;
use crate::project::memory::parallel::{Convention, Dealing, ModelPart};
use crate::project::memory::request::{MemoryRequest, Settings};
use crate::project::memory::resident::Resident;
use crate::project::memory::sharing;
use crate::project::memory::terms::{KvFigure, Term, gpu_runtime};
use crate::project::plan::Basis;
use options::{AUTOMATIC_SLOTS, LlamaCppOptions, LoadMode};
use sheet::{Sheet, vocabulary};
use weights::Weights;

pub(super) struct LlamaCpp;

impl Engine for LlamaCpp {
    fn name(&self) -> &'static str {
        "llama.cpp"
    }

    fn version(&self) -> &'static str {
        pins::LLAMA_CPP
    }

    fn reads_gguf(&self) -> bool {
        true
    }

    /// What its own `--fit` leaves free of each device, and of the host where there is none (`fit_params_target` in
    /// `common/common.h`, `common_params_fit_impl` in `common/fit.cpp`): a GPU's driver and a display lie in it.
    fn takes(&self) -> Takes {
        Takes { reserve: 1 << 30, rule: "llama.cpp's own --fit leaves that free; --reserve S", ..Takes::default() }
    }

    /// llama-server takes 4 sequences where none are asked for.
    fn settings(&self, request: &MemoryRequest, common: Settings) -> Settings {
        let automatic = request.llama_cpp.has_automatic_slots(request.seqs);
        Settings { seqs: if automatic { AUTOMATIC_SLOTS } else { common.seqs }, ..common }
    }

    /// Its context is the total over all sequences.
    fn with_seqs(&self, settings: &Settings, seqs: u64) -> Settings {
        Settings { ctx: settings.ctx.saturating_mul(seqs), seqs, ..*settings }
    }

    /// A GPU's weights are not repacked, nor are those that stay in host memory beside it: the device's host buffer goes first
    /// (`make_cpu_buft_list` in `llama-model.cpp`).
    fn on_gpu(&self, settings: &Settings) -> Settings {
        without_repacking(settings)
    }

    fn left_out_on_gpu(&self) -> Option<&'static str> {
        Some("a size is taken as a GPU's: the copy of repacked weights, for a processor, is not in it (--fit this counts it)")
    }

    /// Those of GGUF that people take, of 16 bits down to 2.
    fn schemes(&self) -> Schemes {
        Schemes {
            plain: &["gguf:bf16", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "iq4_xs", "q3_k_m"],
            with_imatrix: &["iq3_xxs", "iq2_xs"],
        }
    }

    fn most_seqs(&self) -> Option<u64> {
        Some(cells::MAX_SEQS)
    }

    /// The types of `--cache-type-k` and `--cache-type-v`.
    fn cache_types(&self) -> &'static [KvType] {
        &[
            KvType::F32,
            KvType::F16,
            KvType::BF16,
            KvType::Q8_0,
            KvType::Q5_1,
            KvType::Q5_0,
            KvType::Q4_1,
            KvType::Q4_0,
            KvType::IQ4_NL,
        ]
    }

    /// Over several devices each holds its own layers.
    fn sharing(&self, input: &ProjectInput<'_>, settings: &Settings, devices: u64) -> Option<String> {
        (devices == 1).then(|| match settings.llama_cpp.load_mode {
            LoadMode::Mmap => sharing::mapped(input),
            LoadMode::None => sharing::read(input),
        })
    }

    fn small_cache(&self) -> Option<KvType> {
        Some(KvType::Q8_0)
    }

    fn ctx_means(&self) -> &'static str {
        "ctx is the total over all sequences, as llama.cpp's -c"
    }

    fn weights(&self, input: &ProjectInput<'_>, settings: &Settings) -> Term {
        Weights::of(input, settings).terms(input, settings).0
    }

    fn layers(&self, model: &ModelConfig, layers: &[KvLayer]) -> Vec<KvLayer> {
        as_converted(model, layers)
    }

    fn kv(&self, layers: &[KvLayer], settings: &Settings) -> Result<KvFigure, String> {
        cache::kv_cache(layers, settings)
    }

    fn state(&self, layers: &[KvLayer], settings: &Settings) -> Result<Option<KvFigure>, String> {
        cache::recurrent_state(layers, settings)
    }

    fn others(&self, input: &ProjectInput<'_>, settings: &Settings, part: &ModelPart) -> Vec<Term> {
        let mut terms = if part.whole {
            vec![compute::term(input, &Sheet::of(input), settings)]
        } else {
            let reason = "the graph is cut over the devices, each with a buffer of its own, several times over where it is pipelined: not \
                          measured (without --pp: that of one device)";
            vec![Term::refused("compute_buffer", reason)]
        };
        if part.first {
            terms.extend(weights::beside(input));
        }
        if !part.whole {
            terms.push(gpu_runtime());
        }
        terms
    }

    fn convention(&self, settings: &Settings) -> Convention {
        Convention {
            name: self.name(),
            dealing: Dealing::WithHead,
            cutting: Err("only the split by layers (--split-mode layer) is projected; tp 1 is valid, and --pp N for N devices"),
            experts_over_replicas: false,
            no_experts: Some("llama.cpp does not share experts over devices; ep 1 is valid, and --cpu-experts N"),
            embedding_on_host: true,
            host_expert_layers: settings.llama_cpp.cpu_experts,
            alignment: 32,
        }
    }

    fn pipeline_note(&self) -> Option<&'static str> {
        Some(
            "layers as with all of them on devices of equal shares (--tensor-split 1,1,...); by default shares follow the memory that is free, and \
             then a layer on an even cut can stand on the device before",
        )
    }

    fn host(&self, input: &ProjectInput<'_>, settings: &Settings) -> Vec<Term> {
        let spread = !settings.parallel.is_single();
        // Weights are repacked for a processor only.
        let settings = &if spread { without_repacking(settings) } else { *settings };
        let mut terms = Weights::of(input, settings).terms(input, settings).1;
        if spread {
            terms.extend(weights::embedding(input));
        }
        let tokens = vocabulary(input);
        if tokens > 0 {
            terms.push(output_buffer(tokens, settings));
        }
        let runtime = resident::runtime(tokens);
        let text = "process and vocabulary, from 13 sampled runs: 8 to 40 MiB and 80 to 400 B a token; a GPU's driver comes on top";
        terms.push(Term::range("runtime", runtime.low, runtime.high, text.to_owned()));
        terms
    }

    fn resident(&self, input: &ProjectInput<'_>, settings: &Settings) -> Option<Resident> {
        let KvLayers::Known(layers) = &input.model.kv else { return None };
        let cache = self.kv(layers, settings).ok()?.bytes;
        let state = self.state(layers, settings).ok()?.map_or(0, |figure| figure.bytes);
        let outputs = output_buffer(vocabulary(input), settings).low.unwrap_or(0);
        let weights = Weights::of(input, settings);
        resident::resident(input, settings, &Sheet::of(input), &weights, cache.saturating_add(state), outputs)
    }
}

fn without_repacking(settings: &Settings) -> Settings {
    Settings { llama_cpp: LlamaCppOptions { repack: false, ..settings.llama_cpp }, ..*settings }
}

/// Rows of logits handed to the caller: one a sequence at the start (`llama_context::output_reserve`).
fn output_buffer(vocabulary: u64, settings: &Settings) -> Term {
    let bytes = vocabulary.saturating_mul(settings.seqs).saturating_mul(4);
    let most = settings.batch.min(settings.ctx).max(1);
    let grows = if settings.llama_cpp.server {
        String::new()
    } else {
        format!("; grows with the rows a batch asks for, to {most} at most")
    };
    let text = format!("{vocabulary} tokens x {} rows x 4 B at the start{grows} (llama_context::output_reserve)", settings.seqs);
    Term::known("output_buffer", bytes, Basis::Exact, text)
}

/// The layers of a Hugging Face folder as llama.cpp runs them: of many families it keeps every token, whatever window is
/// configured.
fn as_converted(model: &ModelConfig, layers: &[KvLayer]) -> Vec<KvLayer> {
    let family = model.family.as_deref().unwrap_or_default();
    let full = model.origin.as_deref() == Some("config.json")
        && by_model_type(family).is_some_and(|row| row.gguf_cache == GgufCache::Full);
    let one = |l: &KvLayer| match l.kind {
        KvKind::Sliding if full => KvLayer { kind: KvKind::Full, window: None, ..*l },
        _ => *l,
    };
    layers.iter().map(one).collect()
}

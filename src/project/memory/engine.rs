//! What an engine says of itself: the conventions by which it holds weights, caches and buffers.

use super::kv_type::KvType;
use super::limits::Takes;
use super::parallel::{Convention, ModelPart};
use super::request::{MemoryRequest, Settings};
use super::resident::Resident;
use super::sharing;
use super::terms::{KvFigure, Term};
use crate::checkpoint::config::StatedCache;
use crate::checkpoint::{KvLayer, ModelConfig};
use crate::project::input::ProjectInput;

/// Names of schemes to try where the weights do not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schemes {
    /// Those that need the weights alone.
    pub plain: &'static [&'static str],
    /// Those that need an importance matrix, tried where none of the others fits.
    pub with_imatrix: &'static [&'static str],
}

/// Schemes of safetensors that vLLM and transformers load.
const SAFETENSORS_SCHEMES: Schemes =
    Schemes { plain: &["bf16", "ct-fp8-dynamic", "ct-w8a8", "ct-w4a16", "bnb-nf4"], with_imatrix: &[] };

/// The conventions of one engine. What has a default is asked of engines that differ from it.
pub trait Engine: Sync {
    /// Its name, as `--engine` takes it.
    fn name(&self) -> &'static str;
    /// The version its conventions were read from.
    fn version(&self) -> &'static str;
    /// Whether it reads GGUF and nothing else, so that a Hugging Face folder has to be converted.
    fn reads_gguf(&self) -> bool {
        false
    }
    /// The weights as it holds them.
    fn weights(&self, input: &ProjectInput<'_>, settings: &Settings) -> Term;
    /// The layers as it runs them, where that differs from what the configuration says.
    fn layers(&self, _: &ModelConfig, layers: &[KvLayer]) -> Vec<KvLayer> {
        layers.to_vec()
    }
    /// The KV cache of known layers.
    ///
    /// # Errors
    /// The reason why the engine would refuse, or why it is not known.
    fn kv(&self, layers: &[KvLayer], settings: &Settings) -> Result<KvFigure, String>;
    /// The state of recurrent layers, where an engine keeps it apart from the KV cache; `None` where there are none.
    ///
    /// # Errors
    /// The reason why the engine would refuse, or why it is not known.
    fn state(&self, _: &[KvLayer], _: &Settings) -> Result<Option<KvFigure>, String> {
        Ok(None)
    }
    /// The terms of one device besides weights, cache and state: buffers and runtime.
    fn others(&self, input: &ProjectInput<'_>, settings: &Settings, part: &ModelPart) -> Vec<Term>;
    /// How it spreads a model over several devices.
    fn convention(&self, settings: &Settings) -> Convention;
    /// A note for the reader of a pipeline's figures.
    fn pipeline_note(&self) -> Option<&'static str> {
        None
    }
    /// The terms of the host beside the devices.
    fn host(&self, _: &ProjectInput<'_>, _: &Settings) -> Vec<Term> {
        Vec::new()
    }
    /// The resident memory of a run without a GPU, where it is known and differs from what is reserved.
    fn resident(&self, _: &ProjectInput<'_>, _: &Settings) -> Option<Resident> {
        None
    }
    /// How much of a device it takes, by its own rule.
    fn takes(&self) -> Takes {
        Takes::default()
    }
    /// The settings that it starts with, where its programs have defaults of their own for what was not asked for.
    fn settings(&self, _: &MemoryRequest, common: Settings) -> Settings {
        common
    }
    /// The type in which it keeps keys and values by what the checkpoint asks for, where it heeds that and no type was asked for.
    ///
    /// # Errors
    /// Why it takes its usual type although the checkpoint asks for another, for the reader.
    fn stated_cache(&self, _: &StatedCache) -> Result<Option<KvType>, String> {
        Ok(None)
    }
    /// The same settings for the given number of sequences, each with the context of one now.
    fn with_seqs(&self, settings: &Settings, seqs: u64) -> Settings {
        Settings { seqs, ..*settings }
    }
    /// The settings of a run whose device is known by its size alone, and so is taken for a GPU.
    fn on_gpu(&self, settings: &Settings) -> Settings {
        *settings
    }
    /// What [`Engine::on_gpu`] leaves out that a processor would hold, for the reader; `None` where it leaves out nothing.
    fn left_out_on_gpu(&self) -> Option<&'static str> {
        None
    }
    /// The most sequences that it takes; `None` where only memory bounds them.
    fn most_seqs(&self) -> Option<u64> {
        None
    }
    /// The types in which it can cache keys and values.
    fn cache_types(&self) -> &'static [KvType];
    /// A note on what its processes hold together, and what each holds or reads for itself.
    fn sharing(&self, input: &ProjectInput<'_>, _: &Settings, devices: u64) -> Option<String> {
        (devices > 1).then(|| sharing::each_reads_all(input, devices))
    }
    /// Its cache type of about 8 bits, to be tried where the cache does not fit; `None` where it has none.
    fn small_cache(&self) -> Option<KvType> {
        None
    }
    /// Schemes that it loads, to be tried where the weights do not fit.
    fn schemes(&self) -> Schemes {
        SAFETENSORS_SCHEMES
    }
    /// A note on what `--ctx` means for it.
    fn ctx_means(&self) -> &'static str;
}

//! How a model is spread: the sizes of a run, an engine's rules for cutting, and a rank's place.

/// How many ranks share what. The devices are `tp x pp x dp`; expert ranks are drawn from these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parallel {
    /// Tensor parallel: ranks that share every layer.
    pub tp: u64,
    /// Pipeline parallel: stages that hold a run of layers each.
    pub pp: u64,
    /// Expert parallel: ranks that share the routed experts.
    pub ep: u64,
    /// Data parallel: replicas, each with requests or micro-batches of its own.
    pub dp: u64,
}

impl Default for Parallel {
    fn default() -> Self {
        Self { tp: 1, pp: 1, ep: 1, dp: 1 }
    }
}

/// More devices are not listed one by one.
pub(super) const MOST_DEVICES: u64 = 1024;

impl Parallel {
    /// Whether the run is on a single device.
    pub fn is_single(&self) -> bool {
        *self == Self::default()
    }

    /// Number of devices of the run.
    ///
    /// # Errors
    /// For a size of 0, and for more devices than are listed.
    pub fn devices(&self) -> Result<u64, String> {
        if [self.tp, self.pp, self.ep, self.dp].contains(&0) {
            return Err("a parallel size of 0".to_owned());
        }
        let product = self.tp.checked_mul(self.pp).and_then(|n| n.checked_mul(self.dp));
        product
            .filter(|&n| n <= MOST_DEVICES)
            .ok_or_else(|| format!("tp {} x pp {} x dp {} are more than {MOST_DEVICES} devices", self.tp, self.pp, self.dp))
    }
}

/// How layers are dealt to the stages of a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dealing {
    /// The remainder goes to the stages before the last, from the last but one down (vLLM).
    BeforeLast,
    /// The remainder goes to the first stages.
    First,
    /// Layers and the output head in even runs (llama.cpp, devices with equal memory).
    WithHead,
}

/// How the rows of the vocabulary are padded before they are cut over tensor parallel ranks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// They are not padded.
    None,
    /// To a multiple of this number.
    To(u64),
    /// To a multiple of this number times the ranks.
    PerRank(u64),
}

/// How matrices are cut over tensor parallel ranks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cutting {
    /// How the vocabulary is padded.
    pub vocabulary: Padding,
    /// Key/value heads are repeated where there are more ranks than heads; else they have to divide over the ranks.
    pub repeats_kv_heads: bool,
    /// The input embedding is cut as the output head is; else every rank has all of it.
    pub cuts_embedding: bool,
}

/// How an engine spreads a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Convention {
    /// Who does it so, for messages.
    pub name: &'static str,
    /// How layers are dealt to the stages of a pipeline.
    pub dealing: Dealing,
    /// Tensor parallel; `Err` with the reason where it is not projected.
    pub cutting: Result<Cutting, &'static str>,
    /// Whether the ranks of all replicas share routed experts (vLLM), else those of one replica.
    pub experts_over_replicas: bool,
    /// Why expert parallel is not projected.
    pub no_experts: Option<&'static str>,
    /// The input embedding stays in host memory.
    pub embedding_on_host: bool,
    /// Number of layers, from the first on, whose routed experts stay in host memory.
    pub host_expert_layers: u64,
    /// Each tensor is padded to a multiple of this number of bytes.
    pub alignment: u64,
}

impl Convention {
    /// How the vocabulary is padded.
    pub(super) fn padding(&self) -> Padding {
        self.cutting.map_or(Padding::None, |cutting| cutting.vocabulary)
    }

    /// Whether every tensor parallel rank has the whole input embedding.
    pub(super) fn keeps_embedding_whole(&self) -> bool {
        self.cutting.is_ok_and(|cutting| !cutting.cuts_embedding)
    }
}

/// A place among the devices.
#[derive(Debug, Clone, Copy)]
pub(in crate::project::memory) struct Rank {
    pub(in crate::project::memory) replica: u64,
    pub(in crate::project::memory) stage: u64,
    pub(in crate::project::memory) tensor: u64,
    /// First layer, and the one behind the last.
    pub(in crate::project::memory) layers: (u64, u64),
}

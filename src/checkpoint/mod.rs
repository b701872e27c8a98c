//! What the model is: the files of a checkpoint taken together, its parts, roles and architecture.

mod adapter;
mod assemble;
mod boundary;
mod cautions;
pub mod config;
pub(crate) mod configuration;
mod declared;
mod decoder_stack;
mod discover;
mod fingerprint;
mod folder;
mod hub_cache;
mod index;
mod index_check;
mod inputs;
mod model_place;
pub mod names;
mod open;
mod plan;
pub mod packed;
mod shortfall;
mod splits;
mod summary;
mod tied;
pub mod sidecar;
mod weight_sets;
mod without_weights;

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

pub use adapter::Adapter;
pub(crate) use boundary::Boundary;
pub use boundary::FoundFile;
pub use config::{KvKind, KvLayer, KvLayers, ModelConfig};
pub(crate) use declared::{AskedFor, asked_for};
pub(crate) use decoder_stack::{DecoderStack, Named};
pub use discover::{Listing, PassedBy, ShardName, StatedFile};
pub use fingerprint::{Likeness, MAX_READ, Obstacle};
pub use hub_cache::OutsideSnapshot;
pub(crate) use hub_cache::stated_sha256;
pub(crate) use index::is_shard_index;
pub use index::{ShardIndex, StatedTotal};
pub use index_check::{IndexCheck, IndexedTensor, Tally, check_index};
pub use inputs::inputs;
pub use model_place::{ModelPlace, models_in};
pub use names::{Naming, Role, is_conv1d};
pub(crate) use open::open_named;
pub use open::{OpenOptions, declared, open};
pub use packed::{Part, Quantization};
pub use shortfall::Shortfall;
pub use sidecar::{HfFolder, Vocabulary, read_vocabulary};
pub use summary::{Summary, Sums, Totals};
pub use tied::TiedEmbeddings;
pub(crate) use weight_sets::is_imatrix;
pub use weight_sets::{Against, Ranks};
pub use without_weights::{StandIn, open_or_declared, open_values};

use crate::error::{Error, ErrorKind, Result};
use crate::format::{Container, Format, SecondOpinion, Shape, TensorInfo};
use crate::source::{FileSource, Identity};

/// One file of a checkpoint whose header was read.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CheckpointFile {
    /// Where it is.
    pub path: PathBuf,
    /// As reports name it: relative to the folder asked for, with `/`.
    pub name: String,
    /// What its header says.
    pub container: Container,
    /// Its state when the header was read.
    pub identity: Option<Identity>,
    /// What the reference reader says of it, where it was asked.
    pub opinion: SecondOpinion,
}

impl CheckpointFile {
    /// Opens the file whose header was read, and no other that has taken its place since.
    ///
    /// # Errors
    /// As [`FileSource::open`]; [`ErrorKind::Changed`] when another file is there now.
    pub fn open(&self) -> Result<FileSource> {
        let source = FileSource::open(&self.path)?;
        if self.identity.is_some_and(|before| !source.opened_identity().is_same_file(before)) {
            let message = "was replaced by another file after its header was read";
            return Err(Error::new(ErrorKind::Changed, message).with_path(&self.path).help("try again when nothing writes to it"));
        }
        Ok(source)
    }
}

/// One of the forms that a component is stored in.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WeightSet {
    /// What tells it from its alternatives: `model`, `consolidated`, `Q4_K_M`, `fp16`.
    pub name: String,
    /// Indices into [`Checkpoint::files`].
    pub files: Vec<usize>,
    /// Sum of its tensors' bytes.
    pub tensor_bytes: u64,
    /// Whether it is the one that totals are made of.
    pub selected: bool,
    /// The set of the same names that it may be taken for, and what is known of its values beside that one's; `None` where there is
    /// no such set.
    pub against: Option<Against>,
    /// Where its files are the slices of tensor-parallel ranks: which, and how they are known.
    pub ranks: Option<Ranks>,
}

impl WeightSet {
    /// Files whose tensors make one whole: all, or those of each rank.
    pub fn parts(&self) -> Vec<&[usize]> {
        match &self.ranks {
            Some(ranks) => ranks.files.iter().map(Vec::as_slice).collect(),
            None => vec![&self.files],
        }
    }
}

/// A part of a repo that is needed beside others: text model, vision projector, unet, adapter.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Component {
    /// `model`, or the folder or kind it is known by: `unet`, `text_encoder`, `mmproj`, `adapter`.
    pub name: String,
    /// Its copies and forms; one is selected, or none where the component repeats others (a single-file pipeline) or is another model
    /// of the same tensor names.
    pub weight_sets: Vec<WeightSet>,
}

/// A file that holds weights in a form that is not read (pickle-based `.bin`, `.pt`, ...), named with its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UnreadFile {
    /// As reports name it.
    #[serde(rename = "file")]
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Why it is not read.
    pub reason: String,
}

/// A checkpoint: the selected weight set of every component, with what is known of the model.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Checkpoint {
    /// As asked for.
    pub path: PathBuf,
    /// Every file whose header was read, selected or not, in name order.
    pub files: Vec<CheckpointFile>,
    /// Components and their weight sets.
    pub components: Vec<Component>,
    /// Architecture facts.
    pub model: ModelConfig,
    /// The adapters among its weight sets.
    pub adapters: Vec<Adapter>,
    /// How packed weights are stored, where they are.
    pub quantization: Option<Quantization>,
    /// Whether the output head shares the input embedding.
    pub tied: TiedEmbeddings,
    /// Files that should have been read and could not.
    pub problems: Vec<Error>,
    /// Weights in forms that are not read.
    pub unread: Vec<UnreadFile>,
    /// Every file that was seen, read or not, and what was passed by.
    pub listing: Listing,
    /// The shard indexes that were read.
    pub indexes: Vec<ShardIndex>,
    /// Whether the tensors are those that config.json declares: there are no weights here.
    pub declared: bool,
    /// What a reader of the figures should know; escaped.
    pub notes: Vec<String>,
    /// Bytes of tensors that were read to tell weight sets of the same names apart; 0 where no names collide.
    pub compared_bytes: u64,
    /// Shapes of packed weights before they were packed, where they are known, by file and index.
    pub(crate) packed: std::collections::BTreeMap<(u32, u32), Option<Shape>>,
    /// Selected tensors with what they mean, in file and header order.
    pub(crate) tensors: Vec<SelectedTensor>,
    /// The configuration of the main component, where there is one.
    pub(crate) config: Option<Arc<configuration::Configuration>>,
}

/// A selected tensor: where it stands and what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SelectedTensor {
    pub(crate) file: u32,
    pub(crate) index: u32,
    pub(crate) naming: Naming,
    pub(crate) part: Part,
    pub(crate) logical_params: u64,
}

/// A view of one selected tensor.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Tensor<'a> {
    /// Index into [`Checkpoint::files`].
    pub file: usize,
    /// Index into that file's tensors.
    pub index: usize,
    /// The file it stands in.
    pub container: &'a Container,
    /// The header's row.
    pub info: &'a TensorInfo,
    /// Role, layer and expert as its name tells.
    pub naming: Naming,
    /// Weight, bookkeeping of a quantization, or buffer.
    pub part: Part,
    /// Logical weights: packed ones unpacked; 0 for scales, zero points, index tensors and buffers.
    pub logical_params: u64,
    /// Of a packed weight, its shape before it was packed, where that is known.
    pub packed: Option<&'a Option<Shape>>,
}

impl<'a> Tensor<'a> {
    /// The name; bytes that are no UTF-8 become U+FFFD.
    pub fn name(&self) -> Cow<'a, str> {
        self.container.name(self.info)
    }

    /// The dtype as the file spells it.
    pub fn dtype_name(&self) -> &'a str {
        self.container.dtype_name(self.info.dtype)
    }
}

impl Checkpoint {
    /// The tensors of the selected weight sets, in file and header order.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = Tensor<'_>> + Clone {
        self.tensors.iter().map(|selected| self.view(selected))
    }

    /// One of them, by its place among them.
    pub fn tensor(&self, place: usize) -> Option<Tensor<'_>> {
        self.tensors.get(place).map(|selected| self.view(selected))
    }

    fn view(&self, t: &SelectedTensor) -> Tensor<'_> {
        let container = &self.files[t.file as usize].container;
        Tensor {
            file: t.file as usize,
            index: t.index as usize,
            container,
            info: &container.tensors[t.index as usize],
            naming: t.naming,
            part: t.part,
            logical_params: t.logical_params,
            packed: self.packed.get(&(t.file, t.index)),
        }
    }

    /// Indices of the files that the selected weight sets are made of, in name order.
    pub fn selected_files(&self) -> Vec<usize> {
        let mut files: Vec<usize> = self
            .components
            .iter()
            .flat_map(|c| &c.weight_sets)
            .filter(|set| set.selected)
            .flat_map(|set| set.files.iter().copied())
            .collect();
        files.sort_unstable();
        files.dedup();
        files
    }

    /// Whether slices of tensor-parallel ranks are among the selected sets.
    pub fn is_sliced(&self) -> bool {
        self.slices().next().is_some()
    }

    /// Whether they are, and it is known of every tensor how it was cut.
    pub(crate) fn is_joined(&self) -> bool {
        self.slices().any(Ranks::is_known)
    }

    /// The ranks of each selected set that is stored in slices.
    pub fn slices(&self) -> impl Iterator<Item = &Ranks> {
        self.components.iter().flat_map(|c| &c.weight_sets).filter(|set| set.selected).filter_map(|set| set.ranks.as_ref())
    }

    /// The rank that a file is of, where it is known how the tensors of its set were cut.
    pub(crate) fn rank_of(&self, file: usize) -> Option<(&Ranks, usize)> {
        self.slices().filter(|ranks| ranks.is_known()).find_map(|ranks| Some((ranks, ranks.rank_of(file)?)))
    }

    /// The one format of the selected files; `None` when they are of several or there are none.
    pub fn format(&self) -> Option<Format> {
        let mut formats = self.selected_files().into_iter().map(|i| self.files[i].container.format);
        let first = formats.next()?;
        formats.all(|f| f == first).then_some(first)
    }

    /// This checkpoint with one component alone, and another of its weight sets selected.
    #[must_use]
    pub fn with_weight_set(&self, component: usize, weight_set: usize) -> Self {
        let mut other = self.clone();
        for (c, candidate) in other.components.iter_mut().enumerate() {
            for (s, set) in candidate.weight_sets.iter_mut().enumerate() {
                set.selected = (c, s) == (component, weight_set);
            }
        }
        assemble::select_tensors(&mut other);
        other.tied = TiedEmbeddings::of(&other);
        other
    }

    /// Whether the selected weights are some parts of a split GGUF.
    pub(crate) fn is_part_of_split(&self) -> bool {
        let mut selected = self.components.iter().flat_map(|c| &c.weight_sets).filter(|set| set.selected);
        selected.any(|set| splits::Split::of(set, &self.files).is_some())
    }

    /// The configuration of the main component under the keys of a config.json, where there is one.
    pub fn config_json(&self) -> Option<&serde_json::Value> {
        self.config.as_deref().map(|config| &config.value)
    }

    /// The file that states a quantization, as reports name it, where there is a configuration.
    pub(crate) fn quantization_file(&self) -> Option<&str> {
        self.config.as_deref().map(configuration::Configuration::quantization_file)
    }

    /// Whether everything that was asked for could be read: no unreadable file, no missing shard, no selected file cut short.
    pub fn is_read_whole(&self) -> bool {
        self.problems.is_empty() && !self.selected_files().iter().any(|&i| self.files[i].container.is_truncated())
    }

    /// Bytes of the selected tensors.
    pub fn tensor_bytes(&self) -> u64 {
        self.tensors().fold(0, |sum, t| sum.saturating_add(t.info.bytes))
    }

    /// Logical parameters of the selected tensors.
    pub fn logical_params(&self) -> u64 {
        self.tensors().fold(0, |sum, t| sum.saturating_add(t.logical_params))
    }
}

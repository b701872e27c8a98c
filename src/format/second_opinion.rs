//! Would the reference reader load this? The `safetensors` crate's answer beside our own.

use std::collections::BTreeMap;

use safetensors::tensor::{Metadata, SafeTensorError, SafeTensors, TensorInfo};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Container, Format};
use crate::error::Result;
use crate::source::{Source, read_exact_at};
use crate::text::escape_limited;

/// Longest header the reference reader is asked about: it builds a tree of some ten times the header, and must stay within the
/// bounds of this crate in memory and time. Headers of published shards have some 100 KB.
const MAX_ASKED: u64 = 4 << 20;

/// What the reference reader says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecondOpinion {
    /// It loads the file.
    Loads,
    /// It loads the file but sees fewer tensors: of two tensors of one name it keeps the last, in silence.
    LoadsLess {
        /// Tensors it sees.
        tensors: usize,
    },
    /// It refuses the whole file, with its reason (escaped).
    Refuses(String),
    /// It was not asked: another format, a header too long, or no data to ask about.
    NotAsked(&'static str),
}

/// Asks the `safetensors` crate about the header and the length of the file.
///
/// # Errors
/// I/O errors only; a refusal is an answer.
pub fn second_opinion(source: &dyn Source, container: &Container) -> Result<SecondOpinion> {
    if container.format != Format::Safetensors {
        return Ok(SecondOpinion::NotAsked("it reads safetensors only"));
    }
    if container.layout.header > MAX_ASKED {
        return Ok(SecondOpinion::NotAsked("the header is too long to ask within the memory bound"));
    }
    let mut bytes = vec![0; usize::try_from(container.layout.data_start).unwrap_or(0)];
    read_exact_at(source, 0, &mut bytes)?;
    // Given the header alone, the crate checks everything and then misses the data: that one complaint is ours to judge.
    let header = bytes.get(usize::try_from(container.layout.magic).unwrap_or(0)..).unwrap_or_default();
    match SafeTensors::read_metadata(&bytes) {
        Ok(_) | Err(SafeTensorError::MetadataIncompleteBuffer) => {}
        Err(error) => return Ok(SecondOpinion::Refuses(escape_limited(&steady(header, error).to_string(), 200))),
    }
    let metadata: Metadata = match serde_json::from_slice(header) {
        Ok(metadata) => metadata,
        Err(error) => return Ok(SecondOpinion::Refuses(escape_limited(&error.to_string(), 200))),
    };
    let (wanted, present) = (metadata.data_len() as u64, container.file_len - container.layout.data_start);
    let tensors = metadata.offset_keys().len();
    Ok(if wanted != present {
        SecondOpinion::Refuses(format!("its tensors take {wanted} bytes, the file holds {present} after its header"))
    } else if tensors < container.tensors.len() {
        SecondOpinion::LoadsLess { tensors }
    } else {
        SecondOpinion::Loads
    })
}

/// A header as the crate reads it, but for the order of its tensors.
#[derive(Deserialize)]
struct ByName {
    #[serde(rename = "__metadata__")]
    _metadata: Option<IgnoredAny>,
    #[serde(flatten)]
    tensors: BTreeMap<String, TensorInfo>,
}

/// The same complaint on every run. The crate keeps tensors in a hash table before it sorts them by their offsets: of several at one place
/// it names whichever comes second that time. Asked again with those in the order of their names, it gives one of its answers.
fn steady(header: &[u8], error: SafeTensorError) -> SafeTensorError {
    let Ok(read) = serde_json::from_slice::<ByName>(header) else { return error };
    let mut tensors: Vec<(String, TensorInfo)> = read.tensors.into_iter().collect();
    tensors.sort_by_key(|(_, info)| info.data_offsets);
    Metadata::new(None, tensors).err().unwrap_or(error)
}

//! The bytes of files that are not written: safetensors, GGUF, the files and the index of a split checkpoint.

pub(crate) mod gguf_file;
pub(crate) mod gguf_split;
pub(crate) mod greedy;
pub mod safetensors_file;
pub(crate) mod shard_index;
pub mod shards;
pub(crate) mod transformers_files;

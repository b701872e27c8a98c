//! Checkpoint formats, a reader each.

mod gguf;
mod safetensors;

use super::FormatReader;

/// Every checkpoint format.
pub const FORMATS: &[FormatReader] = &[gguf::READER, safetensors::READER];

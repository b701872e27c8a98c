//! Checkpoints that safetensors schemes cannot start from.

use super::context::Context;
use crate::format::Format;
use crate::project::input::ProjectInput;
use crate::project::plan::Refusal;

/// Refuses sources that a safetensors scheme cannot start from.
pub(super) fn require_float_safetensors<'a>(context: &Context<'_, 'a>) -> Result<(), Refusal<'a>> {
    context.refusal().map_or(Ok(()), |reason| Err(Refusal::new(reason)))
}

/// What stands against it, whatever the scheme.
pub(super) fn refusal(input: &ProjectInput<'_>) -> Option<String> {
    if input.format == Some(Format::Gguf) {
        return Some("from GGUF to safetensors is not projected: no tool of the field writes it without changing names".to_owned());
    }
    if input.is_packed() {
        let method = input.quantization.map_or("a quantizer", |q| q.method.as_str());
        return Some(format!("the source is already quantized ({}): project from its float original", crate::text::escape(method)));
    }
    let unknown = input.tensors.iter().find(|t| t.dtype.name().is_none())?;
    Some(format!("`{}` is of an unknown dtype", crate::text::escape(&unknown.name)))
}

//! Targets of a checkpoint that is quantized already.

use super::context::Context;
use super::resolve::Target;
use crate::format::Format;
use crate::project::bridge::BridgeTerm;
use crate::project::input::ProjectInput;
use crate::project::plan::Basis;
use crate::project::row::QuantizedRow;
use crate::project::unpack::Unpacked;

/// The row of a target: of the checkpoint as it is stored where its tool reads that, else of the floats that it stands for.
pub(crate) fn row(
    stored: &Context<'_, '_>,
    floats: Option<&Result<Unpacked<'_>, String>>,
    context: Option<&Context<'_, '_>>,
    target: &Target,
) -> QuantizedRow {
    let Some(floats) = floats else { return super::row(stored, target) };
    let to_gguf = target.resolve(Some(Format::Safetensors)).is_some_and(|s| s.container == Format::Gguf);
    let (unpacked, context) = match (floats, context) {
        (Ok(unpacked), Some(context)) => (unpacked, context),
        (Err(why), _) => {
            let mut row = super::row(stored, target);
            row.notes.push(why.clone());
            return row;
        }
        (Ok(_), None) => return super::row(stored, target),
    };
    if to_gguf {
        // The converter unpacks some methods itself; what it refuses of a folder is refused.
        let row = super::row(stored, target);
        if row.basis != Basis::Refused || stored.input.folder.is_some() {
            return row;
        }
    }
    let mut row = super::row(context, target);
    unpacked.account(stored.input, &mut row);
    row
}

impl Unpacked<'_> {
    /// Puts the unpacking before what a scheme made of the floats.
    fn account(&self, stored: &ProjectInput<'_>, row: &mut QuantizedRow) {
        let actual = stored.tensor_bytes();
        row.ratio = row.tensor_bytes.filter(|_| actual > 0).map(|bytes| bytes as f64 / actual as f64);
        row.notes.splice(0..0, self.notes.iter().cloned());
        let Some(first) = row.bridge.first_mut() else { return };
        let before = i128::from(stored.file_bytes);
        let rest = i128::from(self.input.file_bytes) - before - self.grown + i128::from(self.dropped);
        first.bytes = before;
        let terms = [
            ("packed weights unpacked", self.grown),
            ("scales and zero points left out", -i128::from(self.dropped)),
            ("header of the unpacked file", rest),
        ];
        let terms = terms.into_iter().filter(|(_, bytes)| *bytes != 0);
        row.bridge.splice(1..1, terms.map(|(label, bytes)| BridgeTerm { label: label.to_owned(), bytes }));
    }
}

//! What the Hugging Face converter makes of a checkpoint, worked out once for all targets.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use super::order::Prepared;
use super::target::QuantTarget;
use crate::dtype::Dtype;
use crate::project::bridge::Origins;
use crate::project::convert::{ConvertedModel, Typed, convert};
use crate::project::input::ProjectInput;
use crate::project::plan::Refusal;

/// A converted file, and what the quantizer reads off it.
#[derive(Debug)]
pub(super) struct Quantizable {
    /// The converted file before the quantizer.
    pub(super) typed: Typed<'static>,
    /// The quantizer's order, and what it reads off the names.
    pub(super) prepared: Prepared,
    /// What the tensors are made of, in the quantizer's order.
    pub(super) sorted_origins: Origins,
}

impl Quantizable {
    fn of(typed: Typed<'static>) -> Self {
        let prepared = Prepared::of(&typed.tensors);
        let rows = prepared.order.iter().map(|&i| typed.origins.rows[i as usize]).collect();
        let sorted_origins = Origins { rows, left_out: typed.origins.left_out.clone() };
        Self { typed, prepared, sorted_origins }
    }
}

type TypedResult = Rc<Result<Quantizable, Refusal<'static>>>;

/// Conversions of one checkpoint.
#[derive(Debug, Default)]
pub(crate) struct Conversions {
    conversion: OnceCell<Option<Result<ConvertedModel, String>>>,
    typed: RefCell<Vec<(Dtype, TypedResult)>>,
}

impl Conversions {
    /// The conversion, or why the converter stops; `None` where the family or the folder is not known.
    pub(super) fn conversion(&self, input: &ProjectInput<'_>) -> Option<&Result<ConvertedModel, String>> {
        self.conversion.get_or_init(|| input.folder.and_then(|folder| convert(input, folder))).as_ref()
    }

    /// Returns the converted file of an outtype, made once.
    pub(super) fn typed(&self, input: &ProjectInput<'_>, conversion: &ConvertedModel, outtype: Dtype) -> TypedResult {
        if let Some((_, typed)) = self.typed.borrow().iter().find(|(t, _)| *t == outtype) {
            return Rc::clone(typed);
        }
        let typed = Rc::new(conversion.typed(input, outtype).map(Quantizable::of));
        self.typed.borrow_mut().push((outtype, Rc::clone(&typed)));
        typed
    }
}

/// The element type that a target stands for as an outtype of the converter; `None` where it is none.
pub(super) fn outtype(conversion: &ConvertedModel, target: QuantTarget) -> Option<Dtype> {
    match target {
        QuantTarget::Auto => Some(conversion.auto),
        QuantTarget::F32 | QuantTarget::F16 | QuantTarget::Bf16 | QuantTarget::Q8_0 | QuantTarget::Tq1_0 | QuantTarget::Tq2_0 => {
            target.base()
        }
        _ => None,
    }
}

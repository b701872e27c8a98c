//! The targets of `llama-quantize` and the type each starts from.

use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::text::escape;

/// A target of `llama-quantize`.
#[allow(missing_docs)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuantTarget {
    F32,
    F16,
    Bf16,
    Q8_0,
    Q6K,
    Q5KM,
    Q5KS,
    Q5_1,
    Q5_0,
    Q4KM,
    Q4KS,
    Q4_1,
    Q4_0,
    Iq4Nl,
    Iq4Xs,
    Mxfp4Moe,
    Q3KL,
    Q3KM,
    Q3KS,
    Iq3M,
    Iq3S,
    Iq3Xs,
    Iq3Xxs,
    Q2K,
    Q2KS,
    Iq2M,
    Iq2S,
    Iq2Xs,
    Iq2Xxs,
    Q2_0,
    Tq2_0,
    Iq1M,
    Tq1_0,
    Iq1S,
    Q1_0,
    Copy,
    /// The converter's own choice of a 16-bit type; no target of the quantizer.
    Auto,
}

/// Outtypes of `convert_hf_to_gguf.py`.
const OUTTYPES: [(&str, QuantTarget); 7] = [
    ("f32", QuantTarget::F32),
    ("f16", QuantTarget::F16),
    ("bf16", QuantTarget::Bf16),
    ("q8_0", QuantTarget::Q8_0),
    ("tq1_0", QuantTarget::Tq1_0),
    ("tq2_0", QuantTarget::Tq2_0),
    ("auto", QuantTarget::Auto),
];

impl QuantTarget {
    /// Reads an outtype of the Hugging Face converter: `f16`, `q8_0`, `auto`, ...
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for any other word.
    pub fn parse_outtype(text: &str) -> Result<Self> {
        OUTTYPES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text.trim())).map(|(_, target)| *target).ok_or_else(|| {
            let names: Vec<&str> = OUTTYPES.iter().map(|(name, _)| *name).collect();
            Error::new(ErrorKind::Usage, format!("`{}` is no outtype of the converter", escape(text)))
                .help(format!("write one of {}", names.join(", ")))
        })
    }

    /// The type that most matrices get; `None` for a copy and the converter's choice. IQ2_S starts from IQ2_XS and IQ3_XS from IQ3_S: so the program has it.
    pub fn base(self) -> Option<Dtype> {
        Some(match self {
            Self::F32 => Dtype::F32,
            Self::F16 => Dtype::F16,
            Self::Bf16 => Dtype::BF16,
            Self::Q8_0 => Dtype::Q8_0,
            Self::Q6K => Dtype::Q6_K,
            Self::Q5KM | Self::Q5KS => Dtype::Q5_K,
            Self::Q5_1 => Dtype::Q5_1,
            Self::Q5_0 => Dtype::Q5_0,
            Self::Q4KM | Self::Q4KS => Dtype::Q4_K,
            Self::Q4_1 => Dtype::Q4_1,
            Self::Q4_0 => Dtype::Q4_0,
            Self::Iq4Nl => Dtype::IQ4_NL,
            Self::Iq4Xs => Dtype::IQ4_XS,
            Self::Mxfp4Moe => Dtype::MXFP4,
            Self::Q3KL | Self::Q3KM | Self::Q3KS => Dtype::Q3_K,
            Self::Iq3M | Self::Iq3S | Self::Iq3Xs => Dtype::IQ3_S,
            Self::Iq3Xxs => Dtype::IQ3_XXS,
            Self::Q2K | Self::Q2KS => Dtype::Q2_K,
            Self::Iq2M => Dtype::IQ2_S,
            Self::Iq2S | Self::Iq2Xs => Dtype::IQ2_XS,
            Self::Iq2Xxs => Dtype::IQ2_XXS,
            Self::Q2_0 => Dtype::Q2_0,
            Self::Tq2_0 => Dtype::TQ2_0,
            Self::Iq1M => Dtype::IQ1_M,
            Self::Tq1_0 => Dtype::TQ1_0,
            Self::Iq1S => Dtype::IQ1_S,
            Self::Q1_0 => Dtype::Q1_0,
            Self::Copy | Self::Auto => return None,
        })
    }

    /// Whether every allowed tensor gets exactly the base type: no mixture, no fallback.
    pub fn is_plain(self) -> bool {
        matches!(self, Self::F32 | Self::F16 | Self::Bf16)
    }

    /// IQ1 and IQ2, which have a mixture of their own.
    pub(super) fn is_very_low(self) -> bool {
        matches!(self, Self::Iq1S | Self::Iq1M | Self::Iq2Xxs | Self::Iq2Xs | Self::Iq2S | Self::Iq2M)
    }
}

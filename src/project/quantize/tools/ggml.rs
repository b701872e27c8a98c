//! The targets of `llama-quantize`, and the outtypes of the Hugging Face converter under the same names.

use crate::format::Format;
use crate::project::bridge::Origins;
use crate::project::plan::{PlanResult, Refusal};
use crate::project::quantize::context::Context;
use crate::project::quantize::llama_quantize;
use crate::project::quantize::llama_quantize::target::QuantTarget;
use crate::project::quantize::rule::{Rule, Schemes};

struct Quantize(QuantTarget);

impl Rule for Quantize {
    fn plan<'a>(&self, context: &Context<'_, 'a>) -> PlanResult<'a> {
        match context.input.format {
            Some(Format::Gguf) => llama_quantize::requantize(context, self.0),
            Some(Format::Safetensors) => llama_quantize::from_safetensors(context, self.0),
            None => Err(Refusal::new("the checkpoint mixes formats")),
        }
    }

    fn with_origins(&self, context: &Context<'_, '_>, row: &mut dyn FnMut(Option<&Origins>)) {
        llama_quantize::with_origins(context, self.0, row);
    }

    fn explain(&self, context: &Context<'_, '_>, tensor: &str) -> Option<String> {
        llama_quantize::explain(context, self.0, tensor)
    }
}

/// Names and targets, in the order of `llama-quantize --help`.
macro_rules! targets {
    ($($name:literal $target:ident;)*) => {
        const NAMES: &[&str] = &[$($name),*];

        fn parse(name: &str) -> Option<Box<dyn Rule>> {
            let target = match name {
                $($name => QuantTarget::$target,)*
                _ => return None,
            };
            Some(Box::new(Quantize(target)))
        }
    };
}

targets! {
    "f32" F32;
    "f16" F16;
    "bf16" Bf16;
    "q8_0" Q8_0;
    "q6_k" Q6K;
    "q5_k_m" Q5KM;
    "q5_k_s" Q5KS;
    "q5_1" Q5_1;
    "q5_0" Q5_0;
    "q4_k_m" Q4KM;
    "q4_k_s" Q4KS;
    "q4_1" Q4_1;
    "q4_0" Q4_0;
    "iq4_nl" Iq4Nl;
    "iq4_xs" Iq4Xs;
    "mxfp4_moe" Mxfp4Moe;
    "q3_k_l" Q3KL;
    "q3_k_m" Q3KM;
    "q3_k_s" Q3KS;
    "iq3_m" Iq3M;
    "iq3_s" Iq3S;
    "iq3_xs" Iq3Xs;
    "iq3_xxs" Iq3Xxs;
    "q2_k" Q2K;
    "q2_k_s" Q2KS;
    "iq2_m" Iq2M;
    "iq2_s" Iq2S;
    "iq2_xs" Iq2Xs;
    "iq2_xxs" Iq2Xxs;
    "q2_0" Q2_0;
    "tq2_0" Tq2_0;
    "iq1_m" Iq1M;
    "tq1_0" Tq1_0;
    "iq1_s" Iq1S;
    "q1_0" Q1_0;
    "copy" Copy;
    "auto" Auto;
}

/// Names that `--to all` and the tests go through, and the grammar that reads them.
pub(super) const SCHEMES: Schemes = Schemes {
    container: Format::Gguf,
    names: NAMES,
    aliases: &[
        ("fp32", "f32"),
        ("float32", "f32"),
        ("fp16", "f16"),
        ("float16", "f16"),
        ("bfloat16", "bf16"),
        ("q5_k", "q5_k_m"),
        ("q4_k", "q4_k_m"),
        ("mxfp4", "mxfp4_moe"),
        ("q3_k", "q3_k_m"),
    ],
    parse,
};

//! The tools that quantize: one file each.

/// Rows of the registry: under each tool in brackets the name of a scheme, further names after `or`, and its rule.
macro_rules! schemes {
    ($([$tool:expr] $($name:literal $(or $alias:literal)* => $rule:expr;)+)+) => {
        &[$($(Scheme {
            name: $name,
            aliases: &[$($alias),*],
            container: Format::Safetensors,
            tool: $tool,
            rule: &$rule,
        }),+),+]
    };
}

mod bitsandbytes;
mod cast;
mod compressed_tensors;
mod fp8;
mod ggml;
mod gptq;
mod hqq;
mod mlx;
mod quanto;
mod torchao;

use super::rule::{Rule, Scheme};

/// Every scheme, a slice per family. To add one: a row in its family's file, or a file and a line here.
pub const SCHEMES: &[&[Scheme]] = &[
    cast::SCHEMES,
    compressed_tensors::SCHEMES,
    bitsandbytes::SCHEMES,
    gptq::SCHEMES,
    fp8::SCHEMES,
    mlx::SCHEMES,
    quanto::SCHEMES,
    hqq::SCHEMES,
    torchao::SCHEMES,
    ggml::SCHEMES,
];

/// Every scheme in registry order.
pub fn all() -> impl Iterator<Item = &'static Scheme> {
    SCHEMES.iter().flat_map(|family| family.iter())
}

/// Grammars of names that no row lists: a function and the tool that writes what it gives.
pub(in crate::project::quantize) const GRAMMARS: &[(Grammar, &str)] = &[
    (compressed_tensors::parse, "compressed-tensors 0.20.0"),
    (gptq::parse, "GPTQModel 7.7.0"),
    (fp8::parse, "transformers 5.23"),
    (mlx::parse, "mlx-lm 0.32.2"),
    (quanto::parse, "optimum-quanto 0.2.7, transformers 5.23"),
    (hqq::parse, "hqq 0.2.8.post1"),
    (torchao::parse, "torchao 0.18.0, transformers 5.23"),
];

/// Reads a name as the parameters of a rule.
pub(in crate::project::quantize) type Grammar = fn(&str) -> Option<Box<dyn Rule>>;

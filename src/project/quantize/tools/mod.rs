//! The tools that quantize: one file each, with the names of its schemes and the grammar that reads them.

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

use super::rule::{Listed, Schemes};

/// Every tool's schemes. To add a tool: a file, and a line here.
pub const SCHEMES: &[Schemes] = &[
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

/// Every listed scheme, in the order of the registry.
pub fn all() -> impl Iterator<Item = Listed> {
    SCHEMES.iter().flat_map(|tool| tool.names.iter().map(|name| Listed { container: tool.container, name }))
}

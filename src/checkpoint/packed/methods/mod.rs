//! Ways of packing, a file each.

mod awq;
mod bitsandbytes;
mod compressed_tensors;
mod exl;
mod gptq;
mod hqq;
mod mlx;
mod mxfp4;
mod quanto;
mod scaled;
mod sparse;
mod torchao;

use super::claim::Method;

/// Every method of safetensors checkpoints. Of several that share an anchor the first that recognises a module has it.
pub(super) const METHODS: &[&Method] = &[
    &gptq::METHOD,
    &awq::METHOD,
    &bitsandbytes::INT8,
    &bitsandbytes::FOUR_BIT,
    &sparse::MARLIN_24,
    &compressed_tensors::METHOD,
    &mxfp4::METHOD,
    &torchao::METHOD,
    &hqq::METHOD,
    &quanto::METHOD,
    &mlx::METHOD,
    &exl::EXL3,
    &exl::EXL2,
    &sparse::BITMASK,
    &scaled::BLOCK_FP8,
    &scaled::SCALED,
    &scaled::COMPANION,
];

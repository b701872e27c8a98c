//! Ways of packing, a file each.

mod aqlm;
mod awq;
mod bare_scale;
mod bitsandbytes;
mod comfyui;
mod compressed_tensors;
mod eetq;
mod exl;
mod gptq;
mod hqq;
mod marlin;
mod mistral;
mod mlx;
mod mxfp4;
mod quanto;
mod quip;
mod scaled;
mod sparse;
mod svdquant;
mod tensorrt_llm;
mod torchao;
mod vptq;

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
    &quip::METHOD,
    &aqlm::METHOD,
    &vptq::METHOD,
    &marlin::METHOD,
    &eetq::METHOD,
    &svdquant::METHOD,
    &tensorrt_llm::METHOD,
    &mistral::METHOD,
    &comfyui::METHOD,
    &sparse::BITMASK,
    &scaled::BLOCK_FP8,
    &scaled::SCALED,
    &scaled::COMPANION,
    &bare_scale::METHOD,
];

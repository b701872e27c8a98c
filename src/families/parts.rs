//! Names of what goes beside a model: folders and files of pipelines, architectures of files that are loaded beside another.

/// Names of parts of a model, without separators and numbers, as diffusers, ComfyUI, transformers and the converters of llama.cpp call
/// them, also at the end of a longer name.
pub(crate) const NAMES: [&str; 49] = [
    "textencoder",
    "textencoders",
    "textmodel",
    "imageencoder",
    "audioencoder",
    "encoder",
    "decoder",
    "vae",
    "vaeapprox",
    "vqmodel",
    "vqvae",
    "movq",
    "unet",
    "transformer",
    "diffusionmodel",
    "diffusionmodels",
    "prior",
    "vision",
    "visionmodel",
    "visiontower",
    "visionencoder",
    "audio",
    "audiomodel",
    "audiotower",
    "speechtokenizer",
    "tokenizer",
    "codec",
    "vocoder",
    "projector",
    "mmprojector",
    "mmproj",
    "connector",
    "safetychecker",
    "controlnet",
    "draft",
    "draftmodel",
    "eagle",
    "mtp",
    "medusa",
    "speculator",
    "assistant",
    "thinker",
    "talker",
    "languagemodel",
    "lmhead",
    "adapter",
    "pooling",
    "dense",
    "vad",
];

/// Encoders and decoders that pipelines call by the name of the model they were taken from: parts only where that is the whole name.
pub(crate) const ENCODERS: [&str; 9] = ["clip", "clipl", "clipg", "clipvision", "t5", "t5xxl", "umt5", "umt5xxl", "ae"];

/// Those of them of which a pipeline has one.
pub(crate) const MAIN: [&str; 4] = ["unet", "transformer", "diffusionmodel", "diffusionmodels"];

/// Architectures that llama.cpp and its kin load beside another: the vision tower, the vocoder.
pub(crate) const ARCHITECTURES: [&str; 2] = [PROJECTOR, "wavtokenizer-dec"];

/// The architecture that llama.cpp gives to vision and audio towers.
pub(crate) const PROJECTOR: &str = "clip";

/// The architecture of a control vector, which llama.cpp adds to the states of a model like an adapter.
pub(crate) const CONTROL_VECTOR: &str = "controlvector";

//! The words of the columns on llama.cpp's Hugging Face converter: what becomes of names, tensors, keys and the vocabulary. A word names
//! behaviour, which stands in the code that converts.

/// How the converter writes the checkpoints of some classes.
#[derive(Debug, Clone, Copy)]
pub struct Conversion {
    /// Classes of the converter's registry, as `architectures` of config.json names them.
    pub classes: &'static [&'static str],
    /// Names under which tensors are read.
    pub rename: Rename,
    /// What is computed or checked before any tensor is read.
    pub start: Start,
    /// What becomes of one tensor.
    pub tensor: TensorRule,
    /// Which keys are written, from which settings.
    pub keys: KeyRule,
    /// Which files the vocabulary is read from, and in which order.
    pub vocabulary: Vocabulary,
    /// The converter reads config.json as it is, without the class's defaults.
    pub raw_config: bool,
    /// Layers that predict further tokens are written behind the others.
    pub predicts_further: bool,
    /// Those of the classes that have no output head: their tensors get the prefix `model.`.
    pub headless: &'static [&'static str],
    /// Model types that these classes hand to another class of the converter, which is not known.
    pub handed_on: &'static [&'static str],
    /// Model types whose rope settings must scale the temperature of attention.
    pub scaled_temperature: &'static [&'static str],
    /// Model types whose time steps and states are normalized (`ssm.dt_b_c_rms`).
    pub normalized_states: &'static [&'static str],
    /// MXFP4 stays as it is; of other families the converter refuses it.
    pub keeps_mxfp4: bool,
}

/// What most rows have; a row says what differs.
pub const CONVERSION: Conversion = Conversion {
    classes: &[],
    rename: Rename::Same,
    start: Start::Nothing,
    tensor: TensorRule::Plain,
    keys: KeyRule::Base,
    vocabulary: Vocabulary::Gpt2,
    raw_config: false,
    predicts_further: false,
    headless: &[],
    handed_on: &[],
    scaled_temperature: &[],
    normalized_states: &[],
    keeps_mxfp4: false,
};

/// Names under which tensors are read; some leave tensors out.
#[expect(missing_docs, reason = "each word is the family whose names it takes apart")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rename {
    Same,
    Bert,
    Bloom,
    Distil,
    Ernie,
    GptOss,
    Mamba2,
    ModernBert,
    Roberta,
    Thinker,
    WithoutHead,
}

/// What is computed or checked before any tensor is read.
#[expect(missing_docs, reason = "each word is the family that needs it")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    Nothing,
    Llama,
    Nomic,
    Phi3,
    Qwen3,
}

/// What becomes of one tensor.
#[expect(missing_docs, reason = "each word is the family whose tensors are rearranged so")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TensorRule {
    Plain,
    Bert,
    Bloom,
    Cohere2,
    Deepseek,
    Deepseek2,
    Falcon,
    Gemma3,
    Gpt2,
    GptNeox,
    GptOss,
    GraniteMoe,
    Llama,
    Mamba,
    Mamba2,
    Olmo,
    Olmoe,
    PhiMoe,
    Qwen2,
    Qwen3VlMoe,
    QwenMoe,
    Roberta,
    Routed,
    Stablelm,
    T5,
}

/// Which keys are written.
#[expect(missing_docs, reason = "each word is the family whose keys are written so")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRule {
    Base,
    Arcee,
    Bert,
    Bloom,
    Cohere,
    Cohere2,
    Deepseek,
    Deepseek2,
    DistilBert,
    Dots1,
    Exaone4,
    Falcon,
    Gemma,
    Gemma2,
    Gemma3,
    GemmaEmbedding,
    Glm4,
    Glm4Moe,
    Gpt2,
    GptNeox,
    GptOss,
    Granite,
    GraniteMoe,
    Llama,
    Mamba,
    Mamba2,
    Mistral3,
    ModernBert,
    Nemotron,
    Olmo,
    Olmo2,
    Olmoe,
    Phi2,
    Phi3,
    PhiMoe,
    Qwen,
    Qwen3Vl,
    Qwen3VlMoe,
    QwenMoe,
    Stablelm,
    Starcoder,
    T5,
    T5Encoder,
}

/// Which files the vocabulary is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vocabulary {
    /// tokenizer.model, else tokenizer.json with byte fallback, else byte-level BPE.
    Llama,
    /// tokenizer.model, else byte-level BPE.
    Qwen,
    /// Byte-level BPE.
    Gpt2,
    /// tokenizer.model.
    Gemma,
    /// tokenizer.model with eot of its own.
    Gemma1,
    /// tokenizer.model, else byte-level BPE.
    Gemma3,
    /// tokenizer.model unless the tokenizer is of GPT-2's class.
    Phi3,
    /// WordPiece.
    Bert,
    /// spiece.model.
    T5,
    /// As Gpt2, the vocabulary rounded up.
    Mamba,
    /// As Mamba, rounded up further; tokenizer.model goes first.
    Mamba2,
    /// As Gpt2, with four special tokens by name.
    Glm4,
    /// As Glm4, with other ones.
    Glm,
    /// tokenizer.model, with the flag of the leading space.
    Ernie,
    /// tokenizer.model, with fixed numbers for two special tokens.
    Nemotron,
    /// As Gpt2 with the number of token types; without tokenizer.json as Bert.
    Roberta,
    /// As Gpt2, with flags for three special tokens.
    ModernBert,
}

//! What a tensor's name tells: role, layer, expert.

/// What a tensor is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Role {
    /// Token embedding.
    Embedding,
    /// Position and token-type embeddings.
    PositionEmbedding,
    /// Attention projections and their biases.
    Attention,
    /// Dense feed-forward.
    Mlp,
    /// Routed experts.
    Expert,
    /// Experts that always run.
    SharedExpert,
    /// Router (gate) of a mixture of experts.
    Router,
    /// Normalisation.
    Norm,
    /// Output head.
    LmHead,
    /// Recurrent, convolutional or linear-attention mixers.
    Recurrent,
    /// Vision tower.
    Vision,
    /// Audio tower.
    Audio,
    /// Projector between towers.
    Projector,
    /// Multi-token prediction layers.
    Mtp,
    /// Low-rank adapters.
    Adapter,
    /// Pooling and classification heads.
    Head,
    /// Convolutions outside a known tower.
    Conv,
    /// Scales, zero points and other bookkeeping of a quantization.
    QuantAux,
    /// Buffers that are no weights.
    Buffer,
    /// Not recognised.
    Other,
}

/// Role, layer and expert of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Naming {
    /// What it is for.
    pub role: Role,
    /// Index of the block it stands in.
    pub layer: Option<u32>,
    /// Index of the expert, where experts are stored one by one.
    pub expert: Option<u32>,
}

//! What tensors are for.

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

impl Role {
    /// Every role, in report order.
    pub const ALL: &'static [Role] = &[
        Self::Embedding,
        Self::PositionEmbedding,
        Self::Attention,
        Self::Mlp,
        Self::Expert,
        Self::SharedExpert,
        Self::Router,
        Self::Norm,
        Self::LmHead,
        Self::Recurrent,
        Self::Vision,
        Self::Audio,
        Self::Projector,
        Self::Mtp,
        Self::Adapter,
        Self::Head,
        Self::Conv,
        Self::QuantAux,
        Self::Buffer,
        Self::Other,
    ];

    /// The name as reports print it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embedding => "embedding",
            Self::PositionEmbedding => "position_embedding",
            Self::Attention => "attention",
            Self::Mlp => "mlp",
            Self::Expert => "expert",
            Self::SharedExpert => "shared_expert",
            Self::Router => "router",
            Self::Norm => "norm",
            Self::LmHead => "lm_head",
            Self::Recurrent => "recurrent",
            Self::Vision => "vision",
            Self::Audio => "audio",
            Self::Projector => "projector",
            Self::Mtp => "mtp",
            Self::Adapter => "adapter",
            Self::Head => "head",
            Self::Conv => "conv",
            Self::QuantAux => "quant_aux",
            Self::Buffer => "buffer",
            Self::Other => "other",
        }
    }
}

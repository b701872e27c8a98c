//! Parameters that work on one token, in the three conventions publishers use.

/// Logical parameters of a model by what matters for the active share. Multi-token prediction layers and towers are left out by
/// the caller where the text model is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ParamCounts {
    /// Everything, the three below included.
    pub total: u64,
    /// Routed experts (role `expert`).
    pub routed_experts: u64,
    /// Token embedding (role `embedding`).
    pub embedding: u64,
    /// Output head (role `lm_head`); 0 where none is stored.
    pub lm_head: u64,
}

/// Parameters that work on one token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActiveParams {
    /// With input embedding and output head.
    pub all: u64,
    /// Without the input embedding: the convention of the DeepSeek-V3 and gpt-oss figures. A tied matrix works as the head, so
    /// it stays.
    pub without_input_embedding: u64,
    /// Without input embedding and output head.
    pub without_embeddings: u64,
}

/// The active parameters: total - routed + routed x used / experts.
///
/// `experts` and `used` are routed experts per layer, all and per token; a model without experts gives `None` for both. A tied head
/// that is stored a second time counts once. Returns `None` when more experts are used than there are, or there are routed
/// experts of unknown number.
pub fn active_params(counts: ParamCounts, experts: Option<u64>, used: Option<u64>, tied: bool) -> Option<ActiveParams> {
    let routed_active = match (experts, used) {
        _ if counts.routed_experts == 0 => 0,
        (Some(experts), Some(used)) if experts > 0 && used <= experts => {
            u64::try_from(u128::from(counts.routed_experts) * u128::from(used) / u128::from(experts)).ok()?
        }
        _ => return None,
    };
    let whole = counts.total.checked_sub(counts.routed_experts)?.checked_add(routed_active)?;
    let ends = counts.embedding.checked_add(counts.lm_head)?;
    let without_embeddings = whole.checked_sub(ends)?;
    let (all, without_input_embedding) =
        if tied { (whole - counts.lm_head, whole - counts.lm_head) } else { (whole, whole - counts.embedding) };
    Some(ActiveParams { all, without_input_embedding, without_embeddings })
}

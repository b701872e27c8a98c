//! The dimensions of a model that a cut changes, before and after.

use serde::Serialize;

use super::cut::{Cut, Heads};
use crate::checkpoint::{Part, Role};
use crate::families::by_model_type;
use crate::project::input::ProjectInput;

/// Dimensions of a model; `None` for what is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Dims {
    /// Transformer blocks.
    pub layers: Option<u64>,
    /// Width of the residual stream.
    pub hidden: Option<u64>,
    /// Attention (query) heads.
    pub heads: Option<u64>,
    /// Key/value heads.
    pub kv_heads: Option<u64>,
    /// Elements of one head.
    pub head_dim: Option<u64>,
    /// Channels of the widest feed-forward block.
    pub ffn: Option<u64>,
}

impl Dims {
    /// Of the checkpoint: heads by its configuration, layers and widths by its tensors.
    pub(super) fn of(input: &ProjectInput<'_>) -> Self {
        let model = input.model;
        let embedding = input.tensors.iter().find(|t| t.role == Role::Embedding && t.part == Part::Weight && t.shape.len() == 2);
        let block = |t: &&crate::project::input::ProjectTensor<'_>| {
            !matches!(t.role, Role::Mtp | Role::Vision | Role::Audio | Role::Projector | Role::Adapter)
        };
        let counted = input.tensors.iter().filter(block).filter_map(|t| t.layer).max().map(|last| u64::from(last) + 1);
        let shared = head_shares_hidden(input);
        Self {
            layers: counted.or(model.layers),
            hidden: model.hidden_size.or_else(|| embedding.map(|t| t.row_len())),
            heads: model.heads,
            kv_heads: model.kv_heads.or(model.heads.filter(|_| shared)),
            head_dim: model.head_dim.or_else(|| {
                let (hidden, heads) = (model.hidden_size?, model.heads.filter(|&n| n > 0)?);
                (shared && hidden % heads == 0).then(|| hidden / heads)
            }),
            ffn: model.expert_ffn_size.max(model.ffn_size),
        }
    }

    /// What a cut leaves; the feed-forward width is left to the tensors.
    ///
    /// # Errors
    /// What is missing, does not divide or is more than is there.
    pub(super) fn after(&self, cut: Cut, input: &ProjectInput<'_>) -> Result<Self, String> {
        let mut after = *self;
        if let Some(amount) = cut.layers {
            let layers = self.layers.ok_or("no tensor's name tells its layer")?;
            if input.model.layers.is_some_and(|stated| stated != layers) {
                return Err(format!(
                    "the configuration counts {} layers, the tensors' names {layers}: which are to go is not known",
                    input.model.layers.unwrap_or(0)
                ));
            }
            after.layers = Some(amount.of(layers, "layers")?);
        }
        if let Some(left) = cut.hidden {
            let hidden = self.hidden.ok_or("the width is not known: config.json with `hidden_size` is missing")?;
            if left == 0 || left > hidden {
                return Err(format!("a width of {left} cannot remain of {hidden}"));
            }
            if !cut.student && left != hidden && head_shares_hidden(input) {
                return Err(format!(
                    "in `{}` a head is hidden / heads wide, so a narrower model has other heads: write it as student=layers:N,hidden:{left}",
                    crate::text::escape(input.model.family.as_deref().unwrap_or_default())
                ));
            }
            after.hidden = Some(left);
            if cut.student && cut.heads.is_none() {
                let heads = self.known_heads()?;
                let kv_heads = self.kv_heads.ok_or("the number of key/value heads is not known")?;
                let scaled = |n: u64, what: &str| {
                    scale(n, left, hidden).ok_or_else(|| {
                        format!("{n} {what} do not narrow from {hidden} to {left}: give them, as in heads:QUERY/KEY-VALUE")
                    })
                };
                (after.heads, after.kv_heads) = (Some(scaled(heads, "heads")?), Some(scaled(kv_heads, "key/value heads")?));
            }
        }
        if let Some(heads) = cut.heads {
            let (query, kv) = self.heads_left(heads)?;
            (after.heads, after.kv_heads) = (Some(query), Some(kv));
        }
        if cut.student && head_shares_hidden(input) && after.query() != after.hidden {
            return Err(format!(
                "in this family {} heads of {} are to be as wide as the student's {}",
                after.heads.unwrap_or(0),
                after.head_dim.unwrap_or(0),
                after.hidden.unwrap_or(0)
            ));
        }
        Ok(after)
    }

    fn known_heads(&self) -> Result<u64, String> {
        self.heads
            .filter(|&n| n > 0)
            .ok_or_else(|| "the number of heads is not known: config.json with the heads is missing".to_owned())
    }

    fn heads_left(&self, heads: Heads) -> Result<(u64, u64), String> {
        let now = self.known_heads()?;
        let kv_now = self.kv_heads.filter(|&n| n > 0).ok_or("the number of key/value heads is not known")?;
        self.head_dim.ok_or("the width of a head is not known")?;
        let (query, kv) = match heads {
            Heads::Both(query, kv) => (query, kv),
            Heads::Groups(amount) => {
                let query = amount.of(now, "heads")?;
                let group = now / kv_now;
                if kv_now > 1 && query % group != 0 {
                    return Err(format!(
                        "{query} heads are no whole groups: {group} heads share one of {kv_now} key/value heads; write a multiple of \
                         {group}, or both as heads={query}/KEY-VALUE"
                    ));
                }
                (query, if kv_now == 1 { 1 } else { query / group })
            }
        };
        if query == 0 || kv == 0 || query > now || kv > kv_now || query % kv != 0 {
            return Err(format!(
                "{query} heads with {kv} key/value heads cannot remain of {now} with {kv_now}: no more than these, and the second \
                 divides the first"
            ));
        }
        Ok((query, kv))
    }

    /// Width of the queries of all heads.
    pub(super) fn query(&self) -> Option<u64> {
        self.heads?.checked_mul(self.head_dim?)
    }

    /// Width of the keys of all heads.
    pub(super) fn kv(&self) -> Option<u64> {
        self.kv_heads?.checked_mul(self.head_dim?)
    }
}

/// n x left / of, where it is a whole number above zero.
pub(super) fn scale(n: u64, left: u64, of: u64) -> Option<u64> {
    let product = u128::from(n) * u128::from(left);
    let whole = of > 0 && product > 0 && product % u128::from(of) == 0;
    if whole { u64::try_from(product / u128::from(of)).ok() } else { None }
}

/// Whether the family's class takes the width of a head from hidden size and heads.
pub(super) fn head_shares_hidden(input: &ProjectInput<'_>) -> bool {
    let family = input.model.family.as_deref();
    family.is_some_and(|family| by_model_type(family).is_some_and(|row| row.heads_share_hidden.contains(&family)))
}

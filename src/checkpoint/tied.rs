//! Whether the output head shares the input embedding.

use super::{Checkpoint, Part, Role, Tensor};
use crate::format::Format;
use crate::text::escape_limited;

/// What is known of tying, from headers alone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum TiedEmbeddings {
    /// No pair of input embedding and output head to speak of.
    #[default]
    NotApplicable,
    /// One stored tensor serves both: no head is stored.
    Shared,
    /// Both are stored, and their shapes or the configuration say that they differ.
    Separate,
    /// Both are stored in one shape, and nothing says that they differ: the head may be a copy.
    PossibleCopy {
        /// Name of the input embedding.
        embedding: String,
        /// Name of the output head.
        head: String,
        /// Bytes of the head.
        bytes: u64,
        /// Logical parameters of the head.
        params: u64,
        /// Whether the configuration says that they are tied.
        stated: bool,
    },
}

impl TiedEmbeddings {
    /// Looks at the selected tensors and the configuration.
    pub(super) fn of(checkpoint: &Checkpoint) -> Self {
        let matrix =
            |role| checkpoint.tensors().filter(move |t| t.naming.role == role && t.part == Part::Weight && t.info.shape.len() == 2);
        let Some(embedding) = matrix(Role::Embedding).max_by_key(|t| t.info.elements) else { return Self::NotApplicable };
        // GGUF has no key for it: whether a head is stored is all that its facts are made of, and converters store copies.
        let stated = checkpoint.model.tied_embeddings.filter(|_| checkpoint.format() != Some(Format::Gguf));
        let Some(head) = matrix(Role::LmHead).max_by_key(|t| t.info.elements) else {
            // A head that is not here may stand in a part that is not.
            if checkpoint.is_part_of_split() {
                return Self::NotApplicable;
            }
            let decoder = checkpoint.model.family.is_some() && !matches!(checkpoint.model.kv, super::KvLayers::NoCache(_));
            return if decoder && stated != Some(false) { Self::Shared } else { Self::NotApplicable };
        };
        if stated == Some(false) || head.info.shape != embedding.info.shape {
            return Self::Separate;
        }
        Self::PossibleCopy {
            embedding: embedding.name().into_owned(),
            head: head.name().into_owned(),
            bytes: head.info.bytes,
            params: head.logical_params,
            stated: stated == Some(true),
        }
    }

    /// The two tensors of a possible copy among the selected ones: embedding, then head.
    pub fn pair<'a>(&self, checkpoint: &'a Checkpoint) -> Option<(Tensor<'a>, Tensor<'a>)> {
        let Self::PossibleCopy { embedding, head, .. } = self else { return None };
        let named = |name: &str, role| checkpoint.tensors().find(|t| t.naming.role == role && t.name() == name);
        Some((named(embedding, Role::Embedding)?, named(head, Role::LmHead)?))
    }

    /// The remark a reader of parameter counts needs; `None` where there is nothing to say.
    pub fn note(&self) -> Option<String> {
        let Self::PossibleCopy { embedding, head, params, stated, .. } = self else { return None };
        let (embedding, head) = (escape_limited(embedding, 60), escape_limited(head, 60));
        let params = crate::units::grouped(*params);
        let why = if *stated { "the configuration says that they are tied" } else { "they have one shape" };
        Some(format!(
            "possible copy: `{head}` may hold the weights of `{embedding}` again ({why}): {params} parameters would count twice"
        ))
    }
}

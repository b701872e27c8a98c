//! Which tensor of one checkpoint is which of the other: by name, by name without wrappers and packing, and between Hugging Face
//! and GGUF by the converter's names.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::checkpoint::Part;
use crate::format::Format;
use crate::project::gguf_candidates;
use crate::project::{ProjectInput, ProjectTensor};

/// Tensors of both sides that hold the same weight; more than one where one side stacks or splits it. One side may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// Indices into the tensors of A.
    pub a: Vec<usize>,
    /// Indices into the tensors of B.
    pub b: Vec<usize>,
}

/// What wrappers put before the names of a model.
const WRAPPERS: &[&str] = &[
    "_orig_mod.",
    "module.",
    "base_model.model.",
    "base_model.",
    "model.",
    "language_model.",
    "transformer.",
    "bert.",
    "roberta.",
];

/// What quantizers put after a weight's name, or after its module's, for the packed weight.
const PACKED: &[&str] = &["qweight", "weight_packed", "weight_q", "weight_qdata", "_weight_qdata", "_data", "_qdata", "W_q"];

/// Finds the counterparts. Every tensor of both sides stands in exactly one match; order: that of A, then what only B has.
pub fn match_tensors(a: &ProjectInput<'_>, b: &ProjectInput<'_>) -> Vec<Match> {
    let mut found = Found { of_a: vec![Vec::new(); a.tensors.len()], taken: vec![false; b.tensors.len()] };
    found.by(a, b, |t| Some(Cow::Borrowed(t.name.as_ref())));
    if a.format == b.format {
        found.by(a, b, weight_name);
        found.by(a, b, |t| weight_name(t).map(|name| Cow::Owned(bare(&name).to_owned())));
    } else if a.format == Some(Format::Gguf) {
        let mut turned = Found { of_a: vec![Vec::new(); b.tensors.len()], taken: vec![false; a.tensors.len()] };
        turned.across(b, a);
        found.merge(&turned);
    } else {
        found.across(a, b);
    }
    found.into_matches()
}

/// The name that a weight had before it was packed, without `.weight`; `None` for bookkeeping, whose own name must be the same.
fn weight_name<'t>(tensor: &'t ProjectTensor<'_>) -> Option<Cow<'t, str>> {
    if tensor.part == Part::Auxiliary {
        return None;
    }
    let name = tensor.name.as_ref();
    let packed = name.rsplit_once('.').filter(|(_, suffix)| PACKED.contains(suffix)).map(|(before, _)| before);
    let name = packed.unwrap_or(name);
    Some(Cow::Borrowed(name.strip_suffix(".weight").unwrap_or(name)))
}

/// A name without what wraps the model.
fn bare(name: &str) -> &str {
    let mut rest = name;
    while let Some(inner) = WRAPPERS.iter().find_map(|wrapper| rest.strip_prefix(wrapper)) {
        rest = inner;
    }
    rest
}

struct Found {
    /// For each tensor of A, those of B.
    of_a: Vec<Vec<usize>>,
    /// Whether a tensor of B has a counterpart.
    taken: Vec<bool>,
}

impl Found {
    /// Pairs what is left and has the same key on both sides, once on each.
    fn by<'t>(
        &mut self,
        a: &'t ProjectInput<'_>,
        b: &'t ProjectInput<'_>,
        key: impl Fn(&'t ProjectTensor<'_>) -> Option<Cow<'t, str>>,
    ) {
        // `None` marks a key that stands for more than one tensor: no pair is better than a wrong one.
        let mut keys: HashMap<Cow<'t, str>, Option<usize>> = HashMap::new();
        for (i, tensor) in b.tensors.iter().enumerate().filter(|(i, _)| !self.taken[*i]) {
            if let Some(key) = key(tensor) {
                keys.entry(key).and_modify(|at| *at = None).or_insert(Some(i));
            }
        }
        for (i, tensor) in a.tensors.iter().enumerate() {
            if !self.of_a[i].is_empty() {
                continue;
            }
            let at = key(tensor).and_then(|key| keys.get(&key).copied().flatten());
            if let Some(at) = at.filter(|&at| !self.taken[at]) {
                self.of_a[i].push(at);
                self.taken[at] = true;
            }
        }
    }

    /// Hugging Face names against GGUF ones. Experts stored one by one meet in the tensor that stacks them.
    fn across(&mut self, hugging_face: &ProjectInput<'_>, gguf: &ProjectInput<'_>) {
        let names: HashMap<&str, usize> = gguf.tensors.iter().enumerate().map(|(i, t)| (t.name.as_ref(), i)).collect();
        for (i, tensor) in hugging_face.tensors.iter().enumerate().filter(|(_, t)| t.part != Part::Buffer) {
            let Some(module) = weight_name(tensor) else { continue };
            let packed = module.len() < tensor.name.len();
            let name = if packed { format!("{}.weight", bare(&module)) } else { bare(&module).to_owned() };
            let hits = gguf_candidates(&name, |candidate| names.contains_key(candidate));
            self.of_a[i] = hits.iter().filter_map(|hit| names.get(hit.as_str()).copied()).collect();
            self.of_a[i].iter().for_each(|&at| self.taken[at] = true);
        }
    }

    /// Takes over what was found from the other side.
    fn merge(&mut self, turned: &Self) {
        for (b, of_b) in turned.of_a.iter().enumerate() {
            for &a in of_b {
                self.of_a[a].push(b);
                self.taken[b] = true;
            }
        }
    }

    fn into_matches(self) -> Vec<Match> {
        let mut matches: Vec<Match> = Vec::new();
        // Tensors of A that share one of B stand in one match.
        let mut at: HashMap<usize, usize> = HashMap::new();
        for (a, of_a) in self.of_a.into_iter().enumerate() {
            match of_a.first().and_then(|first| at.get(first)) {
                Some(&known) => {
                    let known: &mut Match = &mut matches[known];
                    known.a.push(a);
                    of_a.iter().for_each(|b| {
                        if !known.b.contains(b) {
                            known.b.push(*b);
                        }
                    });
                }
                None => {
                    of_a.iter().for_each(|&b| {
                        at.insert(b, matches.len());
                    });
                    matches.push(Match { a: vec![a], b: of_a });
                }
            }
        }
        let rest = self.taken.iter().enumerate().filter(|(_, taken)| !**taken);
        matches.extend(rest.map(|(b, _)| Match { a: Vec::new(), b: vec![b] }));
        matches
    }
}

#[cfg(test)]
mod tests {
    use super::bare;

    #[test]
    fn wrappers_are_taken_off() {
        for (name, rest) in [
            ("model.language_model.layers.0.mlp.up_proj.weight", "layers.0.mlp.up_proj.weight"),
            ("_orig_mod.transformer.h.0.ln_1.weight", "h.0.ln_1.weight"),
            ("vision_model.model.x", "vision_model.model.x"),
        ] {
            assert_eq!(bare(name), rest);
        }
    }
}

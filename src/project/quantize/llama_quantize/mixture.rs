//! The mixture: which type `llama-quantize` gives each tensor.

use super::category::{self, Category};
use super::fallback::{can_decode, fallback, needs_imatrix};
use super::target::QuantTarget;
use crate::dtype::Dtype;
use crate::families::by_gguf;
use crate::families::family::{Family, Large, PLAIN};
use crate::project::plan::Basis;
use crate::project::quantize::options::Options;
use crate::text::escape;

/// What the mixture reads of one tensor.
#[derive(Debug, Clone, Copy)]
pub struct MixtureTensor<'t> {
    /// Name in the GGUF.
    pub name: &'t str,
    /// Category that the quantizer tells by the name.
    pub(super) category: Category,
    /// Number of the block, N of `blk.N.`.
    pub(super) block: Option<u64>,
    /// Elements of one row (ggml's dimension 0).
    pub row: u64,
    /// Dimensions, outer ones of size 1 dropped.
    pub dims: usize,
    /// Element type in the source.
    pub dtype: Dtype,
    /// Whether any quantizing target may touch it.
    pub(super) may_quantize: bool,
}

impl<'t> MixtureTensor<'t> {
    /// From name, shape (outermost first) and type.
    pub fn new(name: &'t str, shape: &[u64], dtype: Dtype) -> Self {
        let ones = shape.iter().take_while(|&&d| d == 1).count();
        let dims = (shape.len() - ones).max(1);
        Self {
            name,
            category: Category::of(name),
            block: category::block(name),
            row: shape.last().copied().unwrap_or(1),
            dims,
            dtype,
            may_quantize: category::may_quantize(name, dims),
        }
    }
}

/// What the mixture reads of the model.
#[derive(Debug, Clone, Copy)]
pub struct Model<'m> {
    /// `general.architecture`.
    pub architecture: &'m str,
    /// `block_count`, multi-token prediction layers included.
    pub layers: u64,
    /// Query heads of layer 0.
    pub heads: u64,
    /// Key/value heads of layer 0.
    pub kv_heads: u64,
    /// Routed experts, 0 for a dense model.
    pub experts: u64,
}

impl Model<'_> {
    /// Query heads per key/value head; 0 without key/value heads.
    fn gqa(&self) -> u64 {
        self.heads.checked_div(self.kv_heads).unwrap_or(0)
    }

    /// As the program tells a 70B model.
    fn is_70b(&self) -> bool {
        match self.family().large {
            Large::Never => false,
            Large::At { layers, grouped } => self.layers == layers && (!grouped || self.heads != self.kv_heads),
        }
    }

    /// What the program knows of the architecture.
    fn family(&self) -> &'static Family {
        by_gguf(self.architecture).unwrap_or(&PLAIN)
    }
}

/// The type of one tensor, and the rule that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Element type that the quantizer gives it.
    pub dtype: Dtype,
    /// What the rule wanted, where the row length does not fill its blocks.
    pub fell_back_from: Option<Dtype>,
    /// Whether the tensor is left as stored by rule.
    pub kept: bool,
}

/// Why the quantizer writes no file.
#[derive(Debug, Clone)]
pub(super) struct MixtureRefusal {
    pub(super) reason: String,
    /// Whether the decisions are what a dry run prints.
    pub(super) types_are_known: bool,
}

/// All decisions for one target.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// One per tensor, in the order given.
    pub decisions: Vec<Decision>,
    /// Places in the running counter of the category, or layers, where the rule counts; for explanations.
    pub(super) places: Vec<Option<u64>>,
    pub(super) refusal: Option<MixtureRefusal>,
    pub(super) notes: Vec<String>,
    pub(super) basis: Option<Basis>,
}

impl Outcome {
    /// Why the program would write nothing; `None` when it would.
    pub fn refusal(&self) -> Option<&str> {
        self.refusal.as_ref().map(|r| r.reason.as_str())
    }
}

#[derive(Default)]
struct Counters {
    v: u64,
    up: u64,
    gate: u64,
    down: u64,
}

/// More bits for the first and last eighth and every third layer between: `use_more_bits`.
fn more(i: u64, n: u64) -> bool {
    i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2
}

/// Decides for all tensors, which must stand in output order.
pub fn decide(tensors: &[MixtureTensor<'_>], model: &Model<'_>, target: QuantTarget, options: &Options) -> Outcome {
    // No model has as many layers; the bound keeps the arithmetic on them from overflowing.
    let model = &Model { layers: model.layers.min(1 << 40), ..*model };
    let mut outcome = Outcome { decisions: Vec::with_capacity(tensors.len()), ..Outcome::default() };
    let mut rules = Rules {
        model,
        target,
        options,
        tied: !tensors.iter().any(|t| t.category == Category::Output),
        // Counted over all tensors, as the program does, whether or not they may be quantized.
        n_v: tensors.iter().filter(|t| t.category == Category::V).count() as u64,
        counters: Counters::default(),
        place: None,
    };
    let mut needs_matrix: Option<&str> = None;
    for tensor in tensors {
        rules.place = None;
        let decision = match rules.one(tensor) {
            Ok(decision) => decision,
            Err(reason) => {
                outcome.refusal.get_or_insert(MixtureRefusal { reason, types_are_known: false });
                Decision { dtype: tensor.dtype, fell_back_from: None, kept: true }
            }
        };
        if !decision.kept && decision.dtype != tensor.dtype {
            if !options.imatrix && needs_matrix.is_none() && needs_imatrix(tensor.name, decision.dtype, target) {
                needs_matrix = Some(tensor.name);
            }
            if !can_decode(tensor.dtype) {
                let stored = tensor.dtype.name().unwrap_or("unknown");
                let reason = format!("llama.cpp cannot decode {stored} (`{}`)", escape(tensor.name));
                outcome.refusal.get_or_insert(MixtureRefusal { reason, types_are_known: false });
            }
        }
        outcome.decisions.push(decision);
        outcome.places.push(rules.place);
    }
    if let (Some(name), None) = (needs_matrix, &outcome.refusal) {
        let reason = format!("needs an importance matrix, first for `{}`: llama-quantize refuses without --imatrix", escape(name));
        outcome.refusal = Some(MixtureRefusal { reason, types_are_known: true });
    }
    if options.pure_mixture || options.output_type.is_some() || options.embedding_type.is_some() {
        outcome.basis = Some(Basis::Estimate);
        outcome.notes.push("--pure and type overrides follow the program's source; no run of it was compared".to_owned());
    }
    if model.family().own_list_of_kept {
        outcome.basis = Some(Basis::Estimate);
        outcome.notes.push(format!(
            "{} has its own list of tensors that are not quantized, which is not modelled",
            escape(model.architecture)
        ));
    }
    outcome
}

struct Rules<'m> {
    model: &'m Model<'m>,
    target: QuantTarget,
    options: &'m Options,
    tied: bool,
    n_v: u64,
    counters: Counters,
    place: Option<u64>,
}

impl Rules<'_> {
    fn one(&mut self, tensor: &MixtureTensor<'_>) -> Result<Decision, String> {
        let Some(base) = self.target.base().filter(|_| tensor.may_quantize) else {
            return Ok(Decision { dtype: tensor.dtype, fell_back_from: None, kept: true });
        };
        if self.target.is_plain() {
            return Ok(Decision { dtype: base, fell_back_from: None, kept: false });
        }
        let given = match tensor.category {
            Category::Embedding if self.options.embedding_type.is_some() => self.options.embedding_type,
            Category::Output => self.options.output_type,
            Category::Embedding if self.tied => self.options.output_type,
            _ => None,
        };
        if let Some(dtype) = given {
            return Ok(Decision { dtype, fell_back_from: None, kept: false });
        }
        let wanted = if self.options.pure_mixture { base } else { self.mixed(tensor, base)? };
        let dtype = fallback(wanted, tensor.row).ok_or_else(|| {
            format!(
                "no fallback for {}: rows of `{}` have {} elements, which do not fill its blocks, and llama-quantize stops there",
                wanted.name().unwrap_or("this type"),
                escape(tensor.name),
                tensor.row
            )
        })?;
        Ok(Decision { dtype, fell_back_from: (dtype != wanted).then_some(wanted), kept: false })
    }

    /// The type before the shape is looked at.
    fn mixed(&mut self, tensor: &MixtureTensor<'_>, base: Dtype) -> Result<Dtype, String> {
        use QuantTarget as T;
        let category = tensor.category;
        if category == Category::Output || (self.tied && category == Category::Embedding) {
            let fills = base.info().is_some_and(|row| tensor.row.is_multiple_of(row.elements_per_block));
            return Ok(match self.target {
                T::Mxfp4Moe => Dtype::Q8_0,
                _ if self.model.family().own_mixture || !fills => Dtype::Q8_0,
                t if t.is_very_low() || t == T::Iq3Xxs => Dtype::Q5_K,
                _ if base == Dtype::Q8_0 => base,
                _ => Dtype::Q6_K,
            });
        }
        if self.target == T::Mxfp4Moe {
            // Three dimensions mean stacked experts; MLA's 3-D attn_k_b and attn_v_b pass for them, except in one architecture.
            let expert = tensor.dims > 2 && (!self.model.family().experts_by_name || tensor.name.contains("_exps"));
            return Ok(if expert { Dtype::MXFP4 } else { Dtype::Q8_0 });
        }
        if category == Category::Embedding {
            return Ok(match self.target {
                T::Iq2Xxs | T::Iq2Xs | T::Iq1S | T::Iq1M => Dtype::Q2_K,
                T::Iq2S | T::Iq2M | T::Iq3Xxs => Dtype::IQ3_S,
                T::Tq1_0 | T::Tq2_0 | T::Q2_0 => Dtype::Q4_K,
                _ => base,
            });
        }
        if self.target.is_very_low() { Ok(self.very_low(category, base)) } else { self.others(tensor, base) }
    }

    fn very_low(&mut self, category: Category, base: Dtype) -> Dtype {
        use QuantTarget as T;
        let larger = matches!(self.target, T::Iq2S | T::Iq2M);
        let small = if larger { Dtype::IQ3_S } else { Dtype::Q2_K };
        match category {
            Category::V if self.model.gqa() >= 4 || self.model.experts >= 4 => Dtype::Q4_K,
            Category::V => small,
            Category::K if self.model.experts == 8 => Dtype::Q4_K,
            Category::Down => {
                // The running counter, for mixtures of experts too.
                let i = self.counters.down;
                self.counters.down += 1;
                self.place = Some(i);
                if i < self.model.layers / 8 { small } else { base }
            }
            Category::O if self.model.experts == 8 => Dtype::Q5_K,
            Category::O if larger => Dtype::IQ3_S,
            Category::O if matches!(self.target, T::Iq1S | T::Iq1M) => Dtype::IQ2_XXS,
            _ => base,
        }
    }

    fn others(&mut self, tensor: &MixtureTensor<'_>, base: Dtype) -> Result<Dtype, String> {
        use QuantTarget as T;
        let (model, target) = (self.model, self.target);
        let eight = model.experts == 8;
        Ok(match tensor.category {
            Category::V => self.v(base),
            Category::K if eight => Dtype::Q8_0,
            Category::K | Category::Q => match target {
                T::Iq3Xxs => Dtype::IQ2_S,
                T::Iq3Xs => Dtype::IQ3_XXS,
                _ => base,
            },
            Category::O if model.family().own_mixture => {
                if target == T::Q3KL {
                    Dtype::Q4_K
                } else {
                    base
                }
            }
            Category::O if eight => match target {
                T::Q2K | T::Q3KS | T::Q3KM | T::Q4KS | T::Q4KM | T::Iq3Xs | T::Iq3Xxs | T::Iq3S | T::Iq3M | T::Iq4Nl | T::Iq4Xs => {
                    Dtype::Q5_K
                }
                _ => base,
            },
            Category::O => match target {
                T::Q2K => Dtype::Q3_K,
                T::Iq3Xxs => Dtype::IQ3_S,
                T::Q3KM | T::Iq3M => Dtype::Q4_K,
                T::Q3KL => Dtype::Q5_K,
                _ => base,
            },
            Category::Up | Category::Gate => {
                let i = self.layer(tensor)?;
                let middle = i >= model.layers / 8 && i < 7 * model.layers / 8;
                if target == T::Iq3Xs && middle { Dtype::IQ3_XXS } else { base }
            }
            Category::Down => {
                let i = self.layer(tensor)?;
                self.down(i, base)
            }
            _ => base,
        })
    }

    fn v(&mut self, base: Dtype) -> Dtype {
        use QuantTarget as T;
        let i = self.counters.v;
        self.counters.v += 1;
        self.place = Some(i);
        let grouped = self.model.gqa() >= 4;
        let mut dtype = match self.target {
            T::Q2K => {
                if grouped {
                    Dtype::Q4_K
                } else {
                    Dtype::Q3_K
                }
            }
            T::Q2KS | T::Iq3Xxs | T::Iq3Xs | T::Iq3S if grouped => Dtype::Q4_K,
            T::Iq3Xxs if !self.options.imatrix => Dtype::IQ3_S,
            T::Iq3M => Dtype::Q4_K,
            T::Q3KM => {
                if i < 2 {
                    Dtype::Q5_K
                } else {
                    Dtype::Q4_K
                }
            }
            T::Q3KL => Dtype::Q5_K,
            T::Q4KS if i < 4 => Dtype::Q5_K,
            T::Q4KM | T::Q5KM if more(i, self.n_v) => Dtype::Q6_K,
            T::Iq4Nl | T::Iq4Xs if grouped => Dtype::Q5_K,
            _ => base,
        };
        if self.model.is_70b() && matches!(dtype, Dtype::Q3_K | Dtype::Q4_K) {
            dtype = Dtype::Q5_K;
        }
        if self.model.experts == 8 { Dtype::Q8_0 } else { dtype }
    }

    fn down(&self, i: u64, base: Dtype) -> Dtype {
        use QuantTarget as T;
        let n = self.model.layers;
        let falcon = self.model.family().own_mixture;
        let first = i < n / 8;
        let imatrix = self.options.imatrix;
        match self.target {
            T::Q2K => Dtype::Q3_K,
            T::Q2KS if first => Dtype::Q4_K,
            T::Q3KM if i < n / 16 => Dtype::Q5_K,
            T::Q3KM => {
                if !falcon || more(i, n) {
                    Dtype::Q4_K
                } else {
                    Dtype::Q3_K
                }
            }
            T::Q3KL => {
                if falcon {
                    Dtype::Q4_K
                } else {
                    Dtype::Q5_K
                }
            }
            T::Q4KS if !falcon && first => Dtype::Q5_K,
            T::Q4KM if falcon && i < n / 16 => Dtype::Q6_K,
            T::Q4KM if falcon => {
                if more(i, n) {
                    Dtype::Q5_K
                } else {
                    Dtype::Q4_K
                }
            }
            T::Q4KM | T::Q5KM if more(i, n) => Dtype::Q6_K,
            T::Iq3Xxs if !imatrix => {
                if first {
                    Dtype::Q4_K
                } else {
                    Dtype::Q3_K
                }
            }
            T::Iq3M if first || (self.model.experts == 8 && more(i, n)) => Dtype::Q4_K,
            T::Iq4Nl | T::Iq4Xs if !imatrix && first => Dtype::Q5_K,
            T::Q4_0 if imatrix && first => Dtype::Q4_1,
            T::Q5_0 if imatrix && first => Dtype::Q5_1,
            _ => base,
        }
    }

    /// Layer index of a feed-forward tensor: a running counter of its category, or from the name in a mixture of experts.
    fn layer(&mut self, tensor: &MixtureTensor<'_>) -> Result<u64, String> {
        let counter = match tensor.category {
            Category::Up => &mut self.counters.up,
            Category::Gate => &mut self.counters.gate,
            _ => &mut self.counters.down,
        };
        let i = *counter;
        *counter += 1;
        self.place = if self.model.experts <= 1 { Some(i) } else { tensor.block };
        self.place
            .ok_or_else(|| format!("`{}` has no layer number, where llama-quantize needs one: it stops there", escape(tensor.name)))
    }
}

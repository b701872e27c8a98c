//! The walk over a checkpoint's tensors that turns a packing of single modules into a plan.

mod experts;
mod range;

use std::collections::{BTreeMap, BTreeSet};

use super::context::Context;
use super::experts::{Block, place};
use super::heads::TiedHead;
use super::linears::{Doubts, Linear, classify, is_doubtful};
use super::packing::{Experts, Layout, Module, Packed, Packing, Piece, Tool};
use super::rule::{GroupRefusal, Regrouped, Rule};
use super::seen::Seen;
use super::source::require_float_safetensors;
use super::stacks::{self, Dims, Stack};
use crate::checkpoint::{Part, Role};
use crate::dtype::Dtype;
use crate::format::Shape;
use crate::project::expert_names;
use crate::project::input::{ProjectInput, ProjectTensor};
use crate::project::plan::{Basis, Change, OutTensor, Plan, PlanResult, Refusal, too_large};
use crate::text::escape;
use crate::units::grouped;

impl<P: Packing> Rule for P {
    fn plan<'a>(&self, context: &Context<'_, 'a>) -> PlanResult<'a> {
        require_float_safetensors(context)?;
        let tool = self.tool();
        if context.options.quantize_embedding && !tool.takes_embedding && !tool.can_take_embedding {
            return Err(Refusal::new("--quantize-embedding: this tool quantizes linear layers only"));
        }
        let (plan, doubtful) = Walk::new(self, context, Choice::Likely).run(context)?;
        Ok(if doubtful { range::widened(self, context, plan) } else { plan })
    }

    fn regrouped(&self, size: u64) -> Result<Regrouped, GroupRefusal> {
        Packing::regrouped(self, size)
    }
}

/// What is done with tensors of which it is not known whether the tool takes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    /// Takes what the rule of the tool says.
    Likely,
    /// Takes or leaves each, whichever gives fewer bytes.
    Least,
    /// Leaves them all, which gives the most bytes.
    Most,
}

struct Walk<'p, 'i, 'a, P> {
    packing: &'p P,
    tool: Tool,
    choice: Choice,
    /// What the tools were seen to make of the checkpoint's class.
    class: &'p Seen,
    /// Whether the tool was seen to take of this class what its rule says.
    seen: bool,
    input: &'i ProjectInput<'a>,
    family: &'i str,
    layers: u64,
    head: bool,
    embedding: bool,
    /// Routed experts that the tool takes out of their blocks.
    blocks: Option<&'p BTreeMap<&'i str, Block>>,
    /// The same of experts that a file holds in one tensor, where the tool takes them.
    stacks: Option<&'p BTreeMap<&'i str, (Stack, Dims)>>,
    tied: Option<TiedHead>,
    tensors: Vec<OutTensor<'a>>,
    /// Entries of `__metadata__`: a parameter and its description.
    about: Vec<(String, String)>,
    /// Modules whose biases are written in another type.
    with_bias: BTreeSet<String>,
    doubts: Doubts,
    notes: Vec<String>,
    modules: u64,
    skipped: u64,
    /// `Conv1D` modules that are left alone.
    turned: u64,
}

impl<'p, 'i, 'a, P: Packing> Walk<'p, 'i, 'a, P> {
    fn new(packing: &'p P, context: &'p Context<'i, 'a>, choice: Choice) -> Self {
        let (input, tool) = (context.input, packing.tool());
        let seen = context.seen().has(tool.id);
        let takes = choice != Choice::Most || seen;
        let (any, each) =
            (tool.experts != Experts::Kept && takes, matches!(tool.experts, Experts::Modules | Experts::FusedScales) && takes);
        Self {
            packing,
            tool,
            choice,
            class: context.seen(),
            seen,
            input,
            family: input.model.family.as_deref().unwrap_or_default(),
            layers: input.model.layers.unwrap_or_else(|| layers_of(input)),
            head: tool.takes_head || context.options.quantize_head,
            embedding: tool.takes_embedding || context.options.quantize_embedding,
            blocks: any.then(|| context.blocks()).filter(|blocks| !blocks.is_empty()),
            stacks: each.then(|| context.stacks()).filter(|stacks| !stacks.is_empty()),
            tied: TiedHead::of(input),
            tensors: Vec::with_capacity(input.tensors.len() * 2),
            about: Vec::new(),
            with_bias: BTreeSet::new(),
            doubts: Doubts::default(),
            notes: Vec::new(),
            modules: 0,
            skipped: 0,
            turned: 0,
        }
    }

    /// The plan, and whether anything of it is doubtful.
    fn run(mut self, context: &Context<'_, 'a>) -> Result<(Plan<'a>, bool), Refusal<'a>> {
        if self.tool.experts == Experts::Stacked && !context.stacks().is_empty() {
            return Err(Refusal::new("what this tool makes of experts that one tensor holds was not compared with what it wrote"));
        }
        for &i in context.by_name() {
            self.tensor(i as usize)?;
        }
        self.experts()?;
        self.tied_head()?;
        self.finish(context)
    }

    fn tensor(&mut self, i: usize) -> Result<(), Refusal<'a>> {
        let t = &self.input.tensors[i];
        let among = |blocks: &BTreeMap<&str, Block>| place(&t.name).is_some_and(|(block, ..)| blocks.contains_key(block));
        let stacked = |stacks: &BTreeMap<&str, _>| stacks::place(&t.name).is_some_and(|(block, ..)| stacks.contains_key(block));
        if self.blocks.is_some_and(among) || self.stacks.is_some_and(stacked) {
            return Ok(());
        }
        let linear = classify(self.input, t);
        let matrix = is_matrix(t);
        if is_output_head(t) && matrix && self.input.model.tied_embeddings == Some(true) && self.choice != Choice::Most {
            // The model that is loaded has one tensor for both, and writes the embedding; unless the two differ.
            self.doubts.tied_head = true;
            return Ok(());
        }
        let head = is_output_head(t) && matrix;
        let router = t.role == Role::Router && matrix && self.tool.takes_routers;
        let conv1d = linear == Linear::Conv1D && self.tool.takes_conv1d;
        let taken = match t.role {
            // compressed-tensors and its like pass by `lm_head` and no other.
            Role::LmHead if head => self.head || (self.tool.takes_heads_of_other_names && t.name != "lm_head.weight"),
            Role::Embedding | Role::PositionEmbedding if linear != Linear::Yes => matrix && self.embedding,
            _ => router || conv1d || matches!(linear, Linear::Yes | Linear::Unclear),
        };
        if self.choice == Choice::Least && self.class.is_stranger(i) {
            return Ok(());
        }
        let doubtful = !self.seen && is_doubtful(t, linear);
        let taken = match self.choice {
            Choice::Least if doubtful => return self.least(i),
            Choice::Most if doubtful => false,
            _ => taken,
        };
        if !router {
            self.doubts.note(linear, t);
        }
        self.turned += u64::from(linear == Linear::Conv1D && !conv1d);
        let name = self.packing.rename(self.family, &t.name).into_owned();
        let turned = linear == Linear::Conv1D && self.tool.turns_conv1d;
        let (Some(stem), true) = (name.strip_suffix(".weight"), taken) else {
            return self.keep(i, name, turned);
        };
        let (rows, columns) = if conv1d { (t.shape[1], t.shape[0]) } else { (t.shape[0], t.shape[1]) };
        let module = Module { rows, columns, ..self.module(stem, t.dtype) };
        let packed = if head { self.packing.pack_head(&module) } else { self.packing.pack(&module) };
        match self.may(packed, stem)? {
            Packed::As(pieces) => {
                if let Some((name, shape)) = self.packing.beside(stem) {
                    self.tensors.push(OutTensor::added(name, t.dtype, &shape).ok_or_else(|| too_large(&t.name))?);
                }
                self.with_bias.insert(stem.to_owned());
                if let Some(text) = self.packing.about(&module) {
                    self.about.push((name.clone(), text));
                }
                self.pack(stem, pieces, &[], Some(i))
            }
            Packed::Kept => {
                self.skipped += 1;
                self.keep(i, name.clone(), turned)
            }
            Packed::KeptWith(pieces) => {
                self.skipped += 1;
                let stem = stem.to_owned();
                self.keep(i, name.clone(), turned)?;
                pieces.iter().try_for_each(|p| self.add(format!("{stem}{}", p.suffix), p, &[]))
            }
        }
    }

    /// A tensor of which it is not known whether the tool takes it, in the fewest bytes.
    fn least(&mut self, i: usize) -> Result<(), Refusal<'a>> {
        let t = &self.input.tensors[i];
        let stem = t.name.strip_suffix(".weight").unwrap_or(&t.name);
        if let (true, &[rows, columns]) = (is_matrix(t), t.shape.as_slice()) {
            let module = Module { rows, columns, ..self.module(stem, t.dtype) };
            if let Ok(Packed::As(pieces)) = self.packing.pack(&module)
                && pieces
                    .iter()
                    .filter_map(|p| OutTensor::added(String::new(), p.dtype, &p.shape))
                    .map(|out| out.bytes)
                    .sum::<u64>()
                    < t.bytes
            {
                let stem = stem.to_owned();
                return self.pack(&stem, pieces, &[], Some(i));
            }
        }
        if let Some(out) = self.least_of_stack(stem, i) {
            self.modules += 1;
            self.tensors.push(out);
            return Ok(());
        }
        self.keep(i, t.name.clone().into_owned(), false)
    }

    fn module<'m>(&self, name: &'m str, dtype: Dtype) -> Module<'m>
    where
        'i: 'm,
    {
        Module { name, family: self.family, rows: 0, columns: 0, dtype, layers: self.layers }
    }

    fn may(&self, packed: Result<Packed, String>, stem: &str) -> Result<Packed, Refusal<'a>> {
        packed.map_err(|why| Refusal::new(format!("`{}`: {why}", escape(stem))))
    }

    fn keep(&mut self, i: usize, name: String, turned: bool) -> Result<(), Refusal<'a>> {
        let t = &self.input.tensors[i];
        // Classes may ask for single precision in vectors, routers and parameters of their own.
        let by_transformers = matches!(self.tool.layout, Layout::Transformers | Layout::TorchAo | Layout::LlmCompressor);
        let wide = (self.choice == Choice::Most && !self.seen && may_be_wide(t)) || (by_transformers && is_wide(t));
        let mut out = keep(i, t, if wide { Dtype::F32 } else { self.tool.kept(t.dtype) })?;
        if turned {
            out.shape.reverse();
        }
        if name != out.name {
            out.name_bytes = name.len() as u64;
            out.name = name.clone().into();
        }
        self.tensors.push(out);
        if self.tool.layout != Layout::TorchAo {
            return Ok(());
        }
        // torchao speaks of the parameters that transformers holds: the experts of a block are two.
        match place(&name) {
            Some((block, 0, projection @ (0 | 2))) => {
                let block = expert_names::held(self.family, block);
                let what = if projection == 0 { "gate_up_proj" } else { "down_proj" };
                self.about.push((format!("{block}.experts.{what}"), PLAIN.to_owned()));
            }
            Some(_) => {}
            None => self.about.push((expert_names::held(self.family, &name).into_owned(), PLAIN.to_owned())),
        }
        Ok(())
    }

    fn add(&mut self, name: String, p: &Piece, outer: &[u64]) -> Result<(), Refusal<'a>> {
        let shape: Shape = outer.iter().chain(p.shape.iter()).copied().collect();
        let out = OutTensor::added(name, p.dtype, &shape);
        self.tensors.push(out.ok_or_else(|| Refusal::new("the sizes do not fit 64 bits"))?);
        Ok(())
    }

    /// Adds the parts of a module, the first of which holds the weights of `source`; of several sources where it is `None`.
    fn pack(&mut self, stem: &str, mut pieces: Vec<Piece>, outer: &[u64], source: Option<usize>) -> Result<(), Refusal<'a>> {
        self.modules += 1;
        let weights = pieces.first().map(|p| p.suffix);
        pieces.sort_by_key(|p| p.suffix);
        for p in &pieces {
            self.add(format!("{stem}{}", p.suffix), p, outer)?;
            if let (true, Some(out)) = (Some(p.suffix) == weights, self.tensors.last_mut()) {
                out.source = source.and_then(|i| u32::try_from(i).ok());
                out.change = Change::Retyped;
            }
        }
        Ok(())
    }

    /// A packed copy of every embedding of a class that was not seen: any of them may be a head too, under whatever name.
    fn every_head(&mut self) -> Result<(), Refusal<'a>> {
        for t in self.input.tensors.iter().filter(|t| t.role == Role::Embedding && is_matrix(t)) {
            let module = Module { rows: t.shape[0], columns: t.shape[1], ..self.module("head", t.dtype) };
            if let Ok(Packed::As(pieces)) = self.packing.pack_head(&module) {
                self.pack("head", pieces, &[], None)?;
            }
        }
        Ok(())
    }

    /// A head that shares the embedding: left so, or packed as a copy of its own.
    fn tied_head(&mut self) -> Result<(), Refusal<'a>> {
        if self.choice == Choice::Most && !self.seen && self.tool.takes_heads_of_other_names {
            return self.every_head();
        }
        let Some(tied) = self.tied.take() else { return Ok(()) };
        let least = self.choice == Choice::Least && !self.seen;
        let by_name = tied.name != "lm_head" && !least && self.tool.takes_heads_of_other_names;
        let asked = self.head && !self.tool.takes_head;
        let unties = by_name || (asked && self.tool.unties_head.map_err(Refusal::new)?);
        let t = &self.input.tensors[tied.embedding];
        if unties {
            let module = Module { rows: t.shape[0], columns: t.shape[1], ..self.module(&tied.name, t.dtype) };
            match self.may(self.packing.pack_head(&module), &tied.name)? {
                Packed::As(pieces) => {
                    let before = self.tensors.len();
                    self.pack(&tied.name, pieces, &[], None)?;
                    self.tensors[before..].iter_mut().for_each(|out| out.change = Change::Untied);
                    let bytes = self.tensors[before..].iter().fold(0u64, |n, out| n.saturating_add(out.bytes));
                    self.notes.push(format!("`{}` shared the embedding: quantized, it is a tensor of its own", tied.name));
                    if by_name {
                        let less = grouped(bytes);
                        self.notes.push(format!(
                            "only `lm_head` is ignored: a recipe that ignores `{}` too has {less} B less",
                            tied.name
                        ));
                    }
                }
                Packed::Kept | Packed::KeptWith(_) => self.skipped += 1,
            }
            return Ok(());
        }
        if asked {
            self.notes.push("--quantize-head: the head shares the embedding, and this tool leaves tied tensors alone".to_owned());
        }
        if self.embedding && !self.tool.takes_embedding {
            let out = OutTensor::retyped(tied.embedding, t, self.tool.kept(t.dtype)).ok_or_else(|| too_large(&tied.name))?;
            let name = format!("{}.weight", tied.name);
            let name_bytes = name.len() as u64;
            self.tensors.push(OutTensor { name: name.into(), name_bytes, source: None, change: Change::Untied, ..out });
            self.notes.push(format!("`{}` shared the embedding that is quantized: it is written as it was", tied.name));
        }
        self.about.push((format!("{}.weight", tied.name), PLAIN.to_owned()));
        if tied.bias {
            self.about.push((format!("{}.bias", tied.name), PLAIN.to_owned()));
        }
        Ok(())
    }

    fn finish(mut self, context: &Context<'_, 'a>) -> Result<(Plan<'a>, bool), Refusal<'a>> {
        if self.tool.bias(Dtype::F32) != self.tool.kept(Dtype::F32) {
            for out in &mut self.tensors {
                let stem = out.name.strip_suffix(".bias").filter(|stem| self.with_bias.contains(*stem));
                let Some(i) = out.source.filter(|_| stem.is_some()) else { continue };
                let t = &self.input.tensors[i as usize];
                let bias = keep(i as usize, t, self.tool.bias(t.dtype))?;
                (out.dtype, out.bytes, out.change) = (bias.dtype, bias.bytes, bias.change);
            }
        }
        if self.modules + self.skipped + self.turned == 0 && self.choice != Choice::Most {
            return Err(Refusal::new("no tensor was recognised as the weight of a linear layer"));
        }
        let doubtful = !self.seen || self.doubts.tied_head;
        let mut notes = self.doubts.notes(self.seen, &self.tool);
        if !self.seen {
            notes.insert(0, self.class.why_not(self.tool.id));
        }
        let mut basis = if doubtful { Basis::Estimate } else { Basis::Exact };
        notes.append(&mut self.notes);
        if self.turned > 0 {
            notes.push(format!("{} Conv1D modules are left alone: to this tool they are no linear layers", self.turned));
        }
        if self.skipped > 0 && !self.tool.leaves_all {
            notes.push(format!("{} matrices are left as they are: their shape does not divide", self.skipped));
        }
        let about = (self.tool.layout == Layout::TorchAo).then_some(self.about.as_slice());
        let mut file = super::tool_files::size(context, self.tool.layout, &mut self.tensors, about, &mut notes);
        let mut tensor_range = None;
        let (less, more) = self.tool.spread;
        if less + more > 0 {
            let bytes = self.tensors.iter().fold(0u64, |n, t| n.saturating_add(t.bytes));
            let (less, more) = (less * self.modules, more * self.modules);
            tensor_range = Some((bytes.saturating_sub(less), bytes.saturating_add(more)));
            file.range = Some((file.likely.saturating_sub(less), file.likely.saturating_add(more)));
            basis = Basis::Estimate;
            notes.push("the text of a number inside each quant_state varies in length".to_owned());
        }
        Ok((Plan { tensors: self.tensors, basis, file: Some(file), tensor_range, notes }, doubtful))
    }
}

/// torchao's line for a tensor that is not packed.
const PLAIN: &str = r#"{"_type": "Tensor"}"#;

/// Blocks, by the highest index in a name.
fn layers_of(input: &ProjectInput<'_>) -> u64 {
    input.tensors.iter().filter_map(|t| t.layer).max().map_or(0, |last| u64::from(last) + 1)
}

fn is_matrix(t: &ProjectTensor<'_>) -> bool {
    t.part == Part::Weight && t.shape.len() == 2 && t.dtype.is_float()
}

/// Whether a tensor is the output head itself, and no layer before it.
fn is_output_head(t: &ProjectTensor<'_>) -> bool {
    t.role == Role::LmHead && !t.name.ends_with(".dense.weight")
}

/// Vectors that transformers 5 holds in F32 whatever the checkpoint has.
fn is_wide(t: &ProjectTensor<'_>) -> bool {
    const ENDS: &[&str] = &[".e_score_correction_bias", ".expert_bias", ".self.q_bias", ".self.v_bias"];
    t.dtype.is_float() && t.part == Part::Weight && ENDS.iter().any(|end| t.name.ends_with(end))
}

/// Whether a class of transformers may hold a tensor in F32 whatever the checkpoint has (`_keep_in_fp32_modules`).
fn may_be_wide(t: &ProjectTensor<'_>) -> bool {
    matches!(t.dtype, Dtype::F16 | Dtype::BF16) && (t.shape.len() < 2 || t.role == Role::Router || !t.name.ends_with(".weight"))
}

fn keep<'a>(i: usize, t: &ProjectTensor<'a>, dtype: Dtype) -> Result<OutTensor<'a>, Refusal<'a>> {
    let dtype = if t.part == Part::Weight && t.dtype.is_float() { dtype } else { t.dtype };
    OutTensor::retyped(i, t, dtype).ok_or_else(|| too_large(&t.name))
}

//! The walk over a checkpoint's tensors that turns a packing of single modules into a plan.

use std::collections::{BTreeMap, BTreeSet};

use super::cast::require_float_safetensors;
use super::experts::{self, Block, Held, PROJECTIONS, as_transformers_holds_it};
use super::files;
use super::heads::TiedHead;
use super::linears::{Doubts, Linear, classify};
use super::module::{Experts, Layout, Module, Packed, Packing, Piece, experts_seen};
use super::{Context, Rule};
use crate::checkpoint::{Part, Role};
use crate::dtype::Dtype;
use crate::format::Shape;
use crate::project::input::{ProjectInput, ProjectTensor};
use crate::project::storage::plan::{Basis, Change, OutTensor, Plan, PlanResult, Refusal, too_large};
use crate::text::escape;

impl<P: Packing> Rule for P {
    fn plan<'a>(&self, context: &Context<'_, 'a>) -> PlanResult<'a> {
        require_float_safetensors(context)?;
        if context.options.quantize_embedding && !self.takes_embedding() {
            self.can_take_embedding().map_err(|why| Refusal::new(format!("--quantize-embedding: {why}")))?;
        }
        let mut walk = Walk::new(self, context);
        for &i in context.by_name() {
            walk.tensor(i as usize)?;
        }
        walk.experts()?;
        walk.tied_head()?;
        walk.finish(context)
    }
}

struct Walk<'p, 'i, 'a, P> {
    packing: &'p P,
    input: &'i ProjectInput<'a>,
    family: &'i str,
    layers: u64,
    head: bool,
    embedding: bool,
    /// Routed experts that the tool takes out of their blocks.
    blocks: Option<&'p BTreeMap<&'i str, Block>>,
    tied: Option<TiedHead>,
    tensors: Vec<OutTensor<'a>>,
    /// Lines of `__metadata__`.
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
    fn new(packing: &'p P, context: &'p Context<'i, 'a>) -> Self {
        let input = context.input;
        Self {
            packing,
            input,
            family: input.model.family.as_deref().unwrap_or_default(),
            layers: input.model.layers.unwrap_or_else(|| layers_of(input)),
            head: packing.takes_head() || context.options.quantize_head,
            embedding: packing.takes_embedding() || context.options.quantize_embedding,
            blocks: (packing.experts() != Experts::Kept).then(|| context.blocks()).filter(|blocks| !blocks.is_empty()),
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

    fn tensor(&mut self, i: usize) -> Result<(), Refusal<'a>> {
        let t = &self.input.tensors[i];
        let among =
            |blocks: &BTreeMap<&str, Block>| experts::block_of(t, self.input.model).is_some_and(|block| blocks.contains_key(block));
        if self.blocks.is_some_and(among) {
            return Ok(());
        }
        let linear = classify(self.input, t);
        let matrix = is_matrix(t);
        if t.role == Role::LmHead && matrix && self.input.model.tied_embeddings == Some(true) {
            // The model that is loaded has one tensor for both, and writes the embedding.
            self.doubts.tied_head = true;
            return Ok(());
        }
        let head = t.role == Role::LmHead && matrix;
        let router = t.role == Role::Router && matrix && self.packing.takes_routers();
        let conv1d = linear == Linear::Conv1D && self.packing.takes_conv1d();
        let taken = match t.role {
            Role::LmHead => head && self.head,
            Role::Embedding | Role::PositionEmbedding => matrix && self.embedding,
            _ => router || conv1d || matches!(linear, Linear::Yes | Linear::Unclear),
        };
        if !router {
            self.doubts.note(linear, &t.name);
        }
        self.turned += u64::from(linear == Linear::Conv1D && !conv1d);
        let name = self.packing.rename(self.family, &t.name).into_owned();
        let turned = linear == Linear::Conv1D && self.packing.turns_conv1d();
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
        let mut out = keep(i, t, self.packing.kept(t.dtype))?;
        if turned {
            out.shape.reverse();
        }
        if name != out.name {
            out.name_bytes = name.len() as u64;
            out.name = name.clone().into();
        }
        self.tensors.push(out);
        if self.packing.layout() != Layout::TorchAo {
            return Ok(());
        }
        // torchao speaks of the parameters that transformers holds: the experts of a block are two.
        match experts::place(&name) {
            Some((block, 0, projection @ (0 | 2))) => {
                let block = as_transformers_holds_it(self.family, block);
                let what = if projection == 0 { "gate_up_proj" } else { "down_proj" };
                self.about.push((format!("{block}.experts.{what}"), PLAIN.to_owned()));
            }
            Some(_) => {}
            None => self.about.push((as_transformers_holds_it(self.family, &name).into_owned(), PLAIN.to_owned())),
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

    fn experts(&mut self) -> Result<(), Refusal<'a>> {
        let Some(blocks) = self.blocks else { return Ok(()) };
        let stacked = blocks.values().any(|block| matches!(block.held, Held::Stacked { .. }));
        self.doubts.unseen_experts |= !experts_seen(self.family) || stacked;
        for (name, block) in blocks {
            let name = self.packing.rename(self.family, name).into_owned();
            match self.packing.experts() {
                Experts::Kept => {}
                Experts::Fused => self.fused(&name, block)?,
                Experts::Modules => self.one_by_one(&name, block)?,
                Experts::FusedScales => self.fused_scales(&name, block)?,
                Experts::Stacked => self.stacked(&name, block)?,
            }
        }
        Ok(())
    }

    fn fused(&mut self, name: &str, block: &Block) -> Result<(), Refusal<'a>> {
        let count = block.count;
        let gate_up = block.width.checked_mul(2).ok_or_else(|| too_large(name))?;
        for (what, shape) in [("gate_up_proj", [count, gate_up, block.hidden]), ("down_proj", [count, block.hidden, block.width])] {
            self.plain(format!("{name}.experts.{what}"), block.dtype, &shape)?;
        }
        Ok(())
    }

    fn one_by_one(&mut self, name: &str, block: &Block) -> Result<(), Refusal<'a>> {
        for expert in 0..block.count {
            for (projection, what) in PROJECTIONS.iter().enumerate() {
                let stem = format!("{name}.experts.{expert}.{what}");
                let (rows, columns) = block.shape(projection);
                let module = Module { rows, columns, ..self.module(&stem, block.dtype) };
                let source = block.source(expert, projection);
                match (self.may(self.packing.pack(&module), &stem)?, source) {
                    (Packed::As(pieces), _) => self.pack(&stem, pieces, &[], source)?,
                    (Packed::Kept | Packed::KeptWith(_), source) => {
                        self.skipped += 1;
                        match source {
                            Some(i) => self.keep(i, format!("{stem}.weight"), false)?,
                            None => self.plain(format!("{stem}.weight"), block.dtype, &[rows, columns])?,
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// A part of a stack that is written as it is.
    fn plain(&mut self, name: String, dtype: Dtype, shape: &[u64]) -> Result<(), Refusal<'a>> {
        let out = OutTensor::added(name, self.packing.kept(dtype), shape);
        self.tensors.push(OutTensor { change: Change::Kept, ..out.ok_or_else(|| Refusal::new("the sizes do not fit 64 bits"))? });
        Ok(())
    }

    fn fused_scales(&mut self, name: &str, block: &Block) -> Result<(), Refusal<'a>> {
        let gate_up = block.width.checked_mul(2).ok_or_else(|| too_large(name))?;
        for (what, rows, columns, down) in
            [("gate_up_proj", gate_up, block.hidden, false), ("down_proj", block.hidden, block.width, true)]
        {
            let stem = format!("{name}.experts.{what}");
            let module = Module { rows, columns, ..self.module(&stem, block.dtype) };
            let (dtype, scales) = match self.may(self.packing.pack(&module), &stem)? {
                Packed::As(pieces) => (pieces.first().map(|p| p.dtype), pieces.into_iter().skip(1).collect()),
                Packed::KeptWith(scales) => (None, scales),
                Packed::Kept => (None, Vec::new()),
            };
            for i in block.held.of(down) {
                let t = &self.input.tensors[i];
                let out = OutTensor::retyped(i, t, dtype.unwrap_or(t.dtype));
                self.tensors.push(out.ok_or_else(|| too_large(&t.name))?);
                self.modules += 1;
            }
            for scale in &scales {
                let suffix = scale.suffix.trim_start_matches(".weight");
                self.add(format!("{stem}{suffix}"), scale, &[block.count])?;
            }
        }
        Ok(())
    }

    fn stacked(&mut self, name: &str, block: &Block) -> Result<(), Refusal<'a>> {
        for (projection, what) in PROJECTIONS.iter().enumerate() {
            let stem = format!("{name}.switch_mlp.{what}");
            let (rows, columns) = block.shape(projection);
            let module = Module { rows, columns, ..self.module(&stem, block.dtype) };
            match self.may(self.packing.pack(&module), &stem)? {
                Packed::As(pieces) => self.pack(&stem, pieces, &[block.count], None)?,
                Packed::Kept | Packed::KeptWith(_) => {
                    self.skipped += 1;
                    self.plain(format!("{stem}.weight"), block.dtype, &[block.count, rows, columns])?;
                }
            }
        }
        Ok(())
    }

    /// A head that shares the embedding: left so, or packed as a copy of its own.
    fn tied_head(&mut self) -> Result<(), Refusal<'a>> {
        let Some(tied) = self.tied.take() else { return Ok(()) };
        let by_name = tied.name != "lm_head" && self.packing.takes_heads_of_other_names();
        let asked = self.head && !self.packing.takes_head();
        let unties = by_name || (asked && self.packing.unties_head().map_err(Refusal::new)?);
        let t = &self.input.tensors[tied.embedding];
        if unties {
            let module = Module { rows: t.shape[0], columns: t.shape[1], ..self.module(tied.name, t.dtype) };
            match self.may(self.packing.pack_head(&module), tied.name)? {
                Packed::As(pieces) => {
                    let before = self.tensors.len();
                    self.pack(tied.name, pieces, &[], None)?;
                    self.tensors[before..].iter_mut().for_each(|out| out.change = Change::Untied);
                    self.notes.push(format!("`{}` shared the embedding: quantized, it is a tensor of its own", tied.name));
                }
                Packed::Kept | Packed::KeptWith(_) => self.skipped += 1,
            }
            return Ok(());
        }
        if asked {
            self.notes.push("--quantize-head: the head shares the embedding, and this tool leaves tied tensors alone".to_owned());
        }
        if self.embedding && !self.packing.takes_embedding() {
            let out = OutTensor::retyped(tied.embedding, t, self.packing.kept(t.dtype)).ok_or_else(|| too_large(tied.name))?;
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

    fn finish(mut self, context: &Context<'_, 'a>) -> PlanResult<'a> {
        if self.packing.bias(Dtype::F32) != self.packing.kept(Dtype::F32) {
            for out in &mut self.tensors {
                let stem = out.name.strip_suffix(".bias").filter(|stem| self.with_bias.contains(*stem));
                let Some(i) = out.source.filter(|_| stem.is_some()) else { continue };
                let t = &self.input.tensors[i as usize];
                let bias = keep(i as usize, t, self.packing.bias(t.dtype))?;
                (out.dtype, out.bytes, out.change) = (bias.dtype, bias.bytes, bias.change);
            }
        }
        if self.modules + self.skipped + self.turned == 0 {
            return Err(Refusal::new("no tensor was recognised as the weight of a linear layer"));
        }
        let mut notes = self.doubts.notes(self.family);
        let mut basis = if self.doubts.exact(self.family) { Basis::Exact } else { Basis::Estimate };
        notes.append(&mut self.notes);
        if self.turned > 0 {
            notes.push(format!("{} Conv1D modules are left alone: to this tool they are no linear layers", self.turned));
        }
        if self.skipped > 0 && !self.packing.leaves_all() {
            notes.push(format!("{} matrices are left as they are: their shape does not divide", self.skipped));
        }
        let about = (self.packing.layout() == Layout::TorchAo).then_some(self.about.as_slice());
        let mut file = files::size(context, self.packing.layout(), &mut self.tensors, about, &mut notes);
        let mut tensor_range = None;
        let (less, more) = self.packing.spread();
        if less + more > 0 {
            let bytes = self.tensors.iter().fold(0u64, |n, t| n.saturating_add(t.bytes));
            let (less, more) = (less * self.modules, more * self.modules);
            tensor_range = Some((bytes.saturating_sub(less), bytes.saturating_add(more)));
            file.range = Some((file.likely.saturating_sub(less), file.likely.saturating_add(more)));
            basis = Basis::Estimate;
            notes.push("the text of a number inside each quant_state varies in length".to_owned());
        }
        Ok(Plan { tensors: self.tensors, basis, file: Some(file), tensor_range, notes })
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

fn keep<'a>(i: usize, t: &ProjectTensor<'a>, dtype: Dtype) -> Result<OutTensor<'a>, Refusal<'a>> {
    let dtype = if t.part == Part::Weight && t.dtype.is_float() { dtype } else { t.dtype };
    OutTensor::retyped(i, t, dtype).ok_or_else(|| too_large(&t.name))
}

//! A compute graph as ggml builds it: tensors by shape, strides and sources, without data.
//!
//! Source: `ggml.c` of llama.cpp ([`crate::pins::LLAMA_CPP`]). What it is for: [`alloc`] lays the tensors out as ggml's allocator
//! does, which gives the size of llama.cpp's compute buffer.

pub(super) mod alloc;
mod ops;

/// A tensor of a graph, by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id(u32);

/// What a tensor's elements take: `bytes` for each block of `elements`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Type {
    elements: u64,
    bytes: u64,
}

impl Type {
    pub(super) const F32: Self = Self { elements: 1, bytes: 4 };
    pub(super) const F16: Self = Self { elements: 1, bytes: 2 };
    pub(super) const I32: Self = Self { elements: 1, bytes: 4 };
    pub(super) const I64: Self = Self { elements: 1, bytes: 8 };

    /// The type of a block quant.
    pub(super) fn block(elements: u64, bytes: u64) -> Self {
        Self { elements: elements.max(1), bytes }
    }

    /// Bytes of a row of `n` elements.
    pub(super) fn row(self, n: u64) -> u64 {
        (n / self.elements).saturating_mul(self.bytes)
    }
}

/// What a tensor is there for; the explanation of a compute buffer sums by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Token ids, positions, embeddings given instead of tokens, masks, cell indices.
    Inputs,
    /// Residual stream and norms.
    Residual,
    /// Queries, keys, values and the attention's output.
    Attention,
    /// Attention scores, `cells x tokens x heads`; none with flash attention.
    Scores,
    /// Feed-forward.
    FeedForward,
    /// Routers and experts.
    Experts,
    /// Convolutions and recurrent states.
    State,
    /// Output rows, `vocabulary x outputs`.
    Logits,
}

impl Purpose {
    pub(super) const ALL: [Self; 8] =
        [Self::Inputs, Self::Residual, Self::Attention, Self::Scores, Self::FeedForward, Self::Experts, Self::State, Self::Logits];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Inputs => "inputs and masks",
            Self::Residual => "residual stream",
            Self::Attention => "attention",
            Self::Scores => "attention scores",
            Self::FeedForward => "feed-forward",
            Self::Experts => "experts",
            Self::State => "recurrent state",
            Self::Logits => "logits",
        }
    }
}

/// Where a tensor's memory comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Backing {
    /// The allocator gives it.
    Own,
    /// The same, and it may take over the memory of a source that has no other user.
    InPlace,
    /// The memory of another tensor.
    View(Id),
    /// A buffer of its own: weights, the KV cache.
    External,
}

#[derive(Debug, Clone)]
struct Tensor {
    ne: [u64; 4],
    nb: [u64; 4],
    ty: Type,
    memory: Backing,
    sources: Vec<Id>,
    purpose: Purpose,
    leaf: bool,
    input: bool,
    output: bool,
    visited: bool,
}

impl Tensor {
    /// Bytes that the tensor spans (`ggml_nbytes`).
    fn bytes(&self) -> u64 {
        if self.ne.contains(&0) {
            return 0;
        }
        let row = (self.ne[0] / self.ty.elements).saturating_mul(self.nb[0]);
        (1..4).fold(row, |n, i| n.saturating_add((self.ne[i] - 1).saturating_mul(self.nb[i])))
    }
}

/// Bytes above which a tensor cannot be one of a model.
const LARGEST: u64 = 1 << 44;

/// More tensors than this are not laid out: 512 layers, as many as llama.cpp takes, of 600 tensors each.
const MOST_TENSORS: usize = 300_000;

/// A graph that is being built.
#[derive(Debug, Default)]
pub(super) struct Graph {
    tensors: Vec<Tensor>,
    leafs: Vec<Id>,
    nodes: Vec<Id>,
    purpose: Option<Purpose>,
    broken: Option<&'static str>,
}

impl Graph {
    /// What the tensors from here on are for.
    pub(super) fn now(&mut self, purpose: Purpose) {
        self.purpose = Some(purpose);
    }

    /// Why the graph cannot be trusted, where it cannot.
    pub(super) fn broken(&self) -> Option<&'static str> {
        self.broken
    }

    fn get(&self, id: Id) -> &Tensor {
        &self.tensors[id.0 as usize]
    }

    /// Dimensions of a tensor, fastest first.
    pub(super) fn ne(&self, id: Id) -> [u64; 4] {
        self.get(id).ne
    }

    /// Strides of a tensor, in bytes.
    pub(super) fn nb(&self, id: Id) -> [u64; 4] {
        self.get(id).nb
    }

    /// Whether elements are 32-bit floats.
    pub(super) fn is_f32(&self, id: Id) -> bool {
        self.type_of(id) == Type::F32
    }

    fn type_of(&self, id: Id) -> Type {
        self.get(id).ty
    }

    fn push(&mut self, tensor: Tensor) -> Id {
        if tensor.bytes() > LARGEST {
            self.broken = Some("a tensor of the graph is too large");
        }
        if self.tensors.len() >= MOST_TENSORS {
            self.broken = Some("the graph has too many tensors");
            return Id(0);
        }
        self.tensors.push(tensor);
        Id(self.tensors.len() as u32 - 1)
    }

    fn contiguous(ty: Type, ne: [u64; 4]) -> [u64; 4] {
        let mut nb = [ty.bytes, ty.row(ne[0]), 0, 0];
        nb[2] = nb[1].saturating_mul(ne[1]);
        nb[3] = nb[2].saturating_mul(ne[2]);
        nb
    }

    fn add_tensor(&mut self, ty: Type, ne: [u64; 4], memory: Backing, sources: &[Id]) -> Id {
        let nb = Self::contiguous(ty, ne);
        self.add_strided(ty, ne, nb, memory, sources)
    }

    fn add_strided(&mut self, ty: Type, ne: [u64; 4], nb: [u64; 4], memory: Backing, sources: &[Id]) -> Id {
        // A view of a view is a view of what that one views.
        let memory = match memory {
            Backing::View(of) => match self.get(of).memory {
                Backing::View(root) => Backing::View(root),
                _ => Backing::View(of),
            },
            other => other,
        };
        let purpose = self.purpose.unwrap_or(Purpose::Inputs);
        let tensor = Tensor {
            ne,
            nb,
            ty,
            memory,
            sources: sources.to_vec(),
            purpose,
            leaf: false,
            input: false,
            output: false,
            visited: false,
        };
        self.push(tensor)
    }

    /// What the caller fills before each run.
    pub(super) fn input(&mut self, ty: Type, ne: [u64; 4]) -> Id {
        let id = self.add_tensor(ty, ne, Backing::Own, &[]);
        let tensor = &mut self.tensors[id.0 as usize];
        (tensor.leaf, tensor.input, tensor.purpose) = (true, true, Purpose::Inputs);
        id
    }

    /// A weight, or a part of the KV cache: lies in a buffer of its own.
    pub(super) fn external(&mut self, ty: Type, ne: [u64; 4]) -> Id {
        let id = self.add_tensor(ty, ne, Backing::External, &[]);
        self.tensors[id.0 as usize].leaf = true;
        id
    }

    /// Keeps a tensor until the end (`ggml_set_output`).
    pub(super) fn keep(&mut self, id: Id) {
        self.tensors[id.0 as usize].output = true;
    }

    /// Adds a tensor and what it is made of, sources first (`ggml_build_forward_expand`).
    pub(super) fn expand(&mut self, id: Id) {
        // An explicit stack: a graph may be deeper than the thread's.
        let mut stack = vec![(id, 0usize)];
        if std::mem::replace(&mut self.tensors[id.0 as usize].visited, true) {
            return;
        }
        while let Some((at, next)) = stack.pop() {
            match self.get(at).sources.get(next).copied() {
                Some(source) => {
                    stack.push((at, next + 1));
                    if !std::mem::replace(&mut self.tensors[source.0 as usize].visited, true) {
                        stack.push((source, 0));
                    }
                }
                None if self.get(at).leaf => self.leafs.push(at),
                None => self.nodes.push(at),
            }
        }
    }
}

//! Where ggml's allocator puts the tensors of a graph, and how much room they take.
//!
//! Source: `ggml-alloc.c` of llama.cpp ([`crate::pins::LLAMA_CPP`]): inputs and leafs first, then node by node; a node may take
//! over the memory of a source that nothing else uses; what has no user left is given back; the best fitting hole is taken, else
//! the end grows. `fixtures/memory` holds what that allocator reserved.

use super::{Backing, Graph, Id, Purpose};

/// `TENSOR_ALIGNMENT` of ggml's CPU buffers.
const ALIGNMENT: u64 = 32;

/// The buffer that a graph takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Layout {
    /// Bytes of the buffer.
    pub(in super::super) bytes: u64,
    /// What is in it when it has grown to its full size: bytes by purpose, largest first.
    pub(in super::super) at_peak: Vec<(Purpose, u64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hole {
    offset: u64,
    bytes: u64,
}

/// One buffer without an upper limit, as the CPU's.
struct Buffer {
    holes: Vec<Hole>,
    bytes: u64,
}

impl Buffer {
    fn new() -> Self {
        Self { holes: vec![Hole { offset: 0, bytes: u64::MAX / 2 }], bytes: 0 }
    }

    /// The smallest hole that fits, later ones before earlier ones of the same size; the open end where none does.
    fn take(&mut self, bytes: u64) -> u64 {
        let inner = &self.holes[..self.holes.len().saturating_sub(1)];
        let best = inner.iter().enumerate().rev().filter(|(_, h)| h.bytes >= bytes).min_by_key(|(_, h)| h.bytes).map(|(i, _)| i);
        let at = best.unwrap_or(self.holes.len() - 1);
        let hole = &mut self.holes[at];
        let offset = hole.offset;
        hole.offset = hole.offset.saturating_add(bytes);
        hole.bytes = hole.bytes.saturating_sub(bytes);
        if hole.bytes == 0 {
            self.holes.remove(at);
        }
        self.bytes = self.bytes.max(offset.saturating_add(bytes));
        offset
    }

    fn give(&mut self, offset: u64, bytes: u64) {
        for i in 0..self.holes.len() {
            let Hole { offset: start, bytes: len } = self.holes[i];
            if start + len == offset {
                self.holes[i].bytes += bytes;
                if let Some(&next) = self.holes.get(i + 1)
                    && start + len + bytes == next.offset
                {
                    self.holes[i].bytes += next.bytes;
                    self.holes.remove(i + 1);
                }
                return;
            }
            if offset + bytes == start {
                self.holes[i] = Hole { offset, bytes: len + bytes };
                if i > 0 && self.holes[i - 1].offset + self.holes[i - 1].bytes == offset {
                    self.holes[i - 1].bytes += self.holes[i].bytes;
                    self.holes.remove(i);
                }
                return;
            }
        }
        let at = self.holes.iter().position(|h| h.offset >= offset).unwrap_or(self.holes.len());
        self.holes.insert(at, Hole { offset, bytes });
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    children: u32,
    views: u32,
    allocated: bool,
    offset: u64,
}

struct Allocator<'g> {
    graph: &'g Graph,
    states: Vec<State>,
    room: Buffer,
    used: [u64; Purpose::ALL.len()],
    peak: [u64; Purpose::ALL.len()],
}

/// Lays the tensors of a graph out as ggml does.
pub(in super::super) fn lay_out(graph: &Graph) -> Layout {
    let mut allocator = Allocator {
        graph,
        states: vec![State::default(); graph.tensors.len()],
        room: Buffer::new(),
        used: Default::default(),
        peak: Default::default(),
    };
    allocator.run();
    let mut at_peak: Vec<(Purpose, u64)> = Purpose::ALL.into_iter().zip(allocator.peak).filter(|&(_, bytes)| bytes > 0).collect();
    at_peak.sort_by_key(|&(_, bytes)| std::cmp::Reverse(bytes));
    Layout { bytes: allocator.room.bytes, at_peak }
}

fn padded(bytes: u64) -> u64 {
    bytes.checked_next_multiple_of(ALIGNMENT).unwrap_or(u64::MAX)
}

impl Allocator<'_> {
    fn state(&mut self, id: Id) -> &mut State {
        &mut self.states[id.0 as usize]
    }

    fn run(&mut self) {
        let graph = self.graph;
        for &leaf in &graph.leafs {
            self.allocate(leaf);
        }
        for &node in &graph.nodes {
            if let Backing::View(of) = graph.get(node).memory {
                self.state(of).views += 1;
            }
            for &source in &graph.get(node).sources {
                self.state(source).children += 1;
                if graph.get(source).input {
                    self.allocate(source);
                }
            }
        }
        for &node in &graph.nodes {
            for &source in &graph.get(node).sources {
                self.allocate(source);
            }
            self.allocate(node);
            for &source in &graph.get(node).sources {
                self.leave(source);
            }
        }
    }

    /// One user less of a tensor.
    fn leave(&mut self, id: Id) {
        self.state(id).children -= 1;
        let state = *self.state(id);
        if state.children > 0 || state.views > 0 {
            return;
        }
        match self.graph.get(id).memory {
            Backing::View(of) => {
                self.state(of).views -= 1;
                let root = *self.state(of);
                if root.views == 0 && root.children == 0 && root.allocated {
                    self.release(of);
                }
            }
            _ if state.allocated => self.release(id),
            _ => {}
        }
    }

    fn count(&mut self, purpose: Purpose) -> &mut u64 {
        &mut self.used[purpose as usize]
    }

    fn allocate(&mut self, id: Id) {
        let graph = self.graph;
        let tensor = graph.get(id);
        if self.state(id).allocated || matches!(tensor.memory, Backing::View(_) | Backing::External) {
            return;
        }
        self.state(id).allocated = true;
        let bytes = padded(tensor.bytes());
        if tensor.memory == Backing::InPlace {
            for &source in &tensor.sources {
                let parent = graph.get(source);
                let state = *self.state(source);
                let same = parent.ty == tensor.ty && parent.ne == tensor.ne && parent.nb == tensor.nb;
                if state.allocated && !parent.output && same && state.children == 1 && state.views == 0 {
                    self.state(id).offset = state.offset;
                    self.state(source).allocated = false;
                    let whole = padded(parent.bytes());
                    if whole > bytes {
                        self.room.give(state.offset + bytes, whole - bytes);
                    }
                    *self.count(parent.purpose) -= whole;
                    *self.count(tensor.purpose) += bytes;
                    return;
                }
            }
        }
        let before = self.room.bytes;
        self.state(id).offset = self.room.take(bytes);
        *self.count(tensor.purpose) += bytes;
        if self.room.bytes > before {
            self.peak = self.used;
        }
    }

    fn release(&mut self, id: Id) {
        let tensor = self.graph.get(id);
        if tensor.output {
            return;
        }
        let bytes = padded(tensor.bytes());
        let offset = self.state(id).offset;
        self.room.give(offset, bytes);
        self.state(id).allocated = false;
        *self.count(tensor.purpose) -= bytes;
    }
}

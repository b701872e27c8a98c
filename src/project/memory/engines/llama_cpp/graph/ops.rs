//! The operations of ggml that llama.cpp's graphs are made of: what shape each result has, and whether it may be computed in place.
//!
//! Source: `ggml.c` and `ggml_op_can_inplace` of llama.cpp ([`crate::pins::LLAMA_CPP`]).

use super::{Backing, Graph, Id, Type};

impl Graph {
    /// An elementwise operation on the first source that ggml may compute in memory: add, mul, scale, silu, norm, rope, soft_max,
    /// ...
    pub(in super::super) fn in_place(&mut self, sources: &[Id]) -> Id {
        let first = sources[0];
        let (ty, ne) = (self.type_of(first), self.ne(first));
        self.add_tensor(ty, ne, Backing::InPlace, sources)
    }

    /// As [`Self::in_place`], for operations that ggml always gives memory of their own: LayerNorm, copies.
    pub(in super::super) fn same_shape(&mut self, sources: &[Id]) -> Id {
        let first = sources[0];
        let (ty, ne) = (self.type_of(first), self.ne(first));
        self.add_tensor(ty, ne, Backing::Own, sources)
    }

    /// A result of a shape of its own, in memory of its own.
    pub(in super::super) fn fresh(&mut self, ty: Type, ne: [u64; 4], sources: &[Id]) -> Id {
        self.add_tensor(ty, ne, Backing::Own, sources)
    }

    pub(in super::super) fn mul_mat(&mut self, a: Id, b: Id) -> Id {
        let (ne_a, ne_b) = (self.ne(a), self.ne(b));
        self.fresh(Type::F32, [ne_a[1], ne_b[1], ne_b[2], ne_b[3]], &[a, b])
    }

    /// Rows of each token's experts.
    pub(in super::super) fn mul_mat_id(&mut self, experts: Id, b: Id, ids: Id) -> Id {
        let ne = [self.ne(experts)[1], self.ne(ids)[0], self.ne(b)[2], 1];
        self.fresh(Type::F32, ne, &[experts, b, ids])
    }

    pub(in super::super) fn get_rows(&mut self, a: Id, rows: Id) -> Id {
        let (ne_a, ne_r) = (self.ne(a), self.ne(rows));
        self.fresh(Type::F32, [ne_a[0], ne_r[0], ne_r[1], ne_r[2]], &[a, rows])
    }

    /// A gated unit of two halves: `split` has the second one, else the rows of the first are cut in two.
    pub(in super::super) fn glu(&mut self, a: Id, split: Option<Id>) -> Id {
        let mut ne = self.ne(a);
        match split {
            Some(b) => self.fresh(Type::F32, ne, &[a, b]),
            None => {
                ne[0] /= 2;
                self.fresh(Type::F32, ne, &[a])
            }
        }
    }

    pub(in super::super) fn concat(&mut self, a: Id, b: Id, dim: usize) -> Id {
        let mut ne = self.ne(a);
        ne[dim] = ne[dim].saturating_add(self.ne(b)[dim]);
        let ty = self.type_of(a);
        self.fresh(ty, ne, &[a, b])
    }

    pub(in super::super) fn repeat(&mut self, a: Id, ne: [u64; 4]) -> Id {
        let ty = self.type_of(a);
        self.fresh(ty, ne, &[a])
    }

    pub(in super::super) fn sum_rows(&mut self, a: Id) -> Id {
        let ne = self.ne(a);
        self.fresh(Type::F32, [1, ne[1], ne[2], ne[3]], &[a])
    }

    /// The first `k` of the sorted indices: all are sorted, then a view is taken.
    pub(in super::super) fn argsort_top_k(&mut self, a: Id, k: u64) -> Id {
        let ne = self.ne(a);
        let sorted = self.fresh(Type::I32, ne, &[a]);
        let nb = self.nb(sorted);
        self.view(sorted, [k, ne[1], ne[2], ne[3]], nb)
    }

    pub(in super::super) fn flash_attention(&mut self, q: Id, k: Id, v: Id, mask: Id, sinks: Option<Id>) -> Id {
        let (ne_q, ne_v) = (self.ne(q), self.ne(v));
        let mut sources = vec![q, k, v, mask];
        sources.extend(sinks);
        self.fresh(Type::F32, [ne_v[0], ne_q[2], ne_q[1], ne_q[3]], &sources)
    }

    /// Copies into memory of its own, laid out plainly.
    pub(in super::super) fn cont(&mut self, a: Id) -> Id {
        self.same_shape(&[a])
    }

    pub(in super::super) fn cont_as(&mut self, a: Id, ne: [u64; 4]) -> Id {
        let ty = self.type_of(a);
        self.fresh(ty, ne, &[a])
    }

    pub(in super::super) fn cast(&mut self, a: Id, ty: Type) -> Id {
        let ne = self.ne(a);
        self.fresh(ty, ne, &[a])
    }

    pub(in super::super) fn pad_rows(&mut self, a: Id, by: u64) -> Id {
        let mut ne = self.ne(a);
        ne[0] = ne[0].saturating_add(by);
        let ty = self.type_of(a);
        self.fresh(ty, ne, &[a])
    }

    /// A view with strides of its own; `nb[0]` is that of the tensor.
    pub(in super::super) fn view(&mut self, a: Id, ne: [u64; 4], mut nb: [u64; 4]) -> Id {
        let ty = self.type_of(a);
        nb[0] = ty.bytes;
        self.add_strided(ty, ne, nb, Backing::View(a), &[a])
    }

    /// A view with the strides of a plain tensor of that shape.
    pub(in super::super) fn reshape(&mut self, a: Id, ne: [u64; 4]) -> Id {
        let ty = self.type_of(a);
        let nb = Self::contiguous(ty, ne);
        self.add_strided(ty, ne, nb, Backing::View(a), &[a])
    }

    /// Dimension `i` becomes dimension `axes[i]`.
    pub(in super::super) fn permute(&mut self, a: Id, axes: [usize; 4]) -> Id {
        let (ne, nb, ty) = (self.ne(a), self.nb(a), self.type_of(a));
        let (mut to_ne, mut to_nb) = ([0; 4], [0; 4]);
        for (i, &axis) in axes.iter().enumerate() {
            (to_ne[axis], to_nb[axis]) = (ne[i], nb[i]);
        }
        self.add_strided(ty, to_ne, to_nb, Backing::View(a), &[a])
    }

    pub(in super::super) fn transpose(&mut self, a: Id) -> Id {
        self.permute(a, [1, 0, 2, 3])
    }

    /// Rows written into a tensor: a view of it.
    pub(in super::super) fn set_rows(&mut self, into: Id, rows: Id, at: Id) -> Id {
        let (ne, nb, ty) = (self.ne(into), self.nb(into), self.type_of(into));
        self.add_strided(ty, ne, nb, Backing::View(into), &[rows, at, into])
    }

    /// A copy into a tensor: a view of it.
    pub(in super::super) fn copy_into(&mut self, from: Id, into: Id) -> Id {
        let (ne, nb, ty) = (self.ne(into), self.nb(into), self.type_of(into));
        self.add_strided(ty, ne, nb, Backing::View(into), &[from, into])
    }

    /// Number of elements of a tensor.
    pub(in super::super) fn elements(&self, id: Id) -> u64 {
        self.ne(id).iter().fold(1u64, |n, &d| n.saturating_mul(d))
    }

    /// Whether rows, planes and so on follow each other without gaps (`ggml_is_contiguous`).
    pub(in super::super) fn is_contiguous(&self, id: Id) -> bool {
        let (ne, nb) = (self.ne(id), self.nb(id));
        let ty = self.type_of(id);
        if ne[0] != ty.elements && nb[0] != ty.bytes {
            return false;
        }
        let mut next = ty.row(ne[0]);
        (1..4).all(|i| {
            let fits = ne[i] == 1 || nb[i] == next;
            next = next.saturating_mul(ne[i]);
            fits
        })
    }
}

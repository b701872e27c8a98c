//! Magnitudes and exponents of many tensors together: their histograms, by role and dtype.
//!
//! Types of at most 16 bits are counted code by code, so figures of them are exact. F32 and block quants (decoded to F32) are counted by
//! the upper 16 bits of their magnitudes, of which 8 are mantissa: a quantile lies within 2^-9 of the true one. Of F64 5 are: 2^-6.
//! Integers of 32 and 64 bits are left out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::class::{ElementClass, NumberKind};
use super::counter::CODES;
use super::evaluate::quantiles;
use crate::checkpoint::Role;
use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::stats::full::Quantiles;
use crate::stats::huffman::entropy_bits;

/// Histograms of magnitudes: at most half a MiB for each role and dtype that occur together.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Pooled {
    counts: BTreeMap<(Role, Dtype), Vec<u64>>,
}

/// Figures of some tensors together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PooledFigures {
    /// Magnitudes of all finite values together.
    pub quantiles: Option<Quantiles>,
    /// By how much a quantile may be off, relative to it; 0 where every type has its own code counted. Of normal numbers: F32
    /// subnormals share few bins.
    pub relative_error: f64,
    /// Entropy of the exponents in bits an element, one code for all; `None` for types of differing exponents, and of none.
    pub exponent_entropy_bits: Option<f64>,
}

/// One histogram in a part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PooledPart {
    role: String,
    dtype: String,
    /// Codes, or upper bits of magnitudes, in order, and how often each occurs.
    counts: Vec<(u16, u64)>,
}

fn table_len(class: &ElementClass) -> usize {
    if class.is_coded() { class.codes() } else { CODES }
}

impl PooledPart {
    /// Values that it counts; `None` beyond 64 bits.
    pub(in crate::scan) fn counted(&self) -> Option<u64> {
        self.counts.iter().try_fold(0u64, |sum, (_, n)| sum.checked_add(*n))
    }
}

impl Pooled {
    /// Adds the counted codes of a tensor.
    pub(super) fn add(&mut self, role: Role, class: &ElementClass, counts: &[(u16, u64)]) {
        if !class.is_coded() && class.kind != NumberKind::Float {
            return;
        }
        let table = self.counts.entry((role, class.dtype)).or_insert_with(|| vec![0; table_len(class)]);
        for (code, n) in counts {
            if let Some(sum) = table.get_mut(usize::from(*code)) {
                *sum = sum.saturating_add(*n);
            }
        }
    }

    /// Adds other histograms.
    pub(super) fn merge(&mut self, other: Self) {
        for (key, counts) in other.counts {
            match self.counts.entry(key) {
                std::collections::btree_map::Entry::Vacant(empty) => {
                    empty.insert(counts);
                }
                std::collections::btree_map::Entry::Occupied(mut known) => {
                    known.get_mut().iter_mut().zip(counts).for_each(|(a, b)| *a = a.saturating_add(b));
                }
            }
        }
    }

    pub(super) fn to_part(&self) -> Vec<PooledPart> {
        let sparse = |counts: &[u64]| {
            let counted = counts.iter().enumerate().filter(|(_, n)| **n > 0);
            counted.map(|(code, n)| (code as u16, *n)).collect()
        };
        let part = |((role, dtype), counts): (&(Role, Dtype), &Vec<u64>)| PooledPart {
            role: role.name().to_owned(),
            dtype: dtype.name().unwrap_or_default().to_owned(),
            counts: sparse(counts),
        };
        self.counts.iter().map(part).collect()
    }

    pub(super) fn of_part(parts: &[PooledPart]) -> Result<Self> {
        let mut pooled = Self::default();
        for part in parts {
            let role = Role::ALL.iter().copied().find(|role| role.name() == part.role);
            let class =
                Dtype::ALL.iter().copied().find(|dtype| dtype.name() == Some(part.dtype.as_str())).and_then(ElementClass::of);
            let (Some(role), Some(class)) = (role, class) else {
                return Err(Error::new(ErrorKind::Malformed, "a part names a role or dtype that this version does not know"));
            };
            pooled.add(role, &class, &part.counts);
        }
        Ok(pooled)
    }

    /// The figures of the tensors of some roles and dtypes.
    pub fn figures(&self, takes: &dyn Fn(Role, Dtype) -> bool) -> PooledFigures {
        let (mut magnitudes, mut relative_error) = (Vec::new(), 0.0f64);
        let mut exponents = [0u64; 2048];
        // Bits of the exponent, while all agree.
        let mut alike: Option<Option<u32>> = None;
        for ((_, dtype), counts) in self.counts.iter().filter(|((role, dtype), _)| takes(*role, *dtype)) {
            let Some(class) = ElementClass::of(*dtype) else { continue };
            let bits = class.float.map(|(bits, _)| bits).filter(|_| !dtype.is_block_quant());
            alike = Some(alike.map_or(bits, |known| known.filter(|known| Some(*known) == bits)));
            for (code, &n) in counts.iter().enumerate().filter(|(_, n)| **n > 0) {
                let code = code as u16;
                let magnitude = if class.is_coded() { class.value(code).abs() } else { class.bin_magnitude(code) };
                if magnitude.is_finite() {
                    magnitudes.push((magnitude, n));
                }
                if let Some(bits) = bits {
                    exponents
                        [if class.is_coded() { class.exponent(code).unwrap_or(0) } else { usize::from(code) >> (16 - bits) }] += n;
                }
            }
            relative_error = relative_error.max(match class.float {
                _ if class.is_coded() => 0.0,
                Some((bits, _)) => 0.5f64.powi(17 - bits as i32),
                None => 0.0,
            });
        }
        PooledFigures {
            quantiles: quantiles(magnitudes),
            relative_error,
            exponent_entropy_bits: alike.flatten().map(|_| entropy_bits(exponents)),
        }
    }
}

//! How many elements are zero, NaN or infinite.

use serde::{Deserialize, Serialize};

/// ElementCounts of elements by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ElementCounts {
    /// Elements seen.
    pub elements: u64,
    /// Elements that decode to +0 or -0.
    pub zeros: u64,
    /// Those of them that are -0.
    pub negative_zeros: u64,
    /// NaN elements.
    pub nan: u64,
    /// Elements that are +Inf.
    pub pos_inf: u64,
    /// Elements that are -Inf.
    pub neg_inf: u64,
}

impl ElementCounts {
    /// ElementCounts `times` elements of one value.
    pub fn add(&mut self, value: f64, times: u64) {
        self.elements += times;
        if value == 0.0 {
            self.zeros += times;
            self.negative_zeros += if value.is_sign_negative() { times } else { 0 };
        } else if value.is_nan() {
            self.nan += times;
        } else if value == f64::INFINITY {
            self.pos_inf += times;
        } else if value == f64::NEG_INFINITY {
            self.neg_inf += times;
        }
    }

    /// Adds the counts of both.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self {
            elements: self.elements.saturating_add(other.elements),
            zeros: self.zeros.saturating_add(other.zeros),
            negative_zeros: self.negative_zeros.saturating_add(other.negative_zeros),
            nan: self.nan.saturating_add(other.nan),
            pos_inf: self.pos_inf.saturating_add(other.pos_inf),
            neg_inf: self.neg_inf.saturating_add(other.neg_inf),
        }
    }

    /// Number of elements that are neither NaN nor infinite.
    pub fn finite(&self) -> u64 {
        self.elements - self.non_finite()
    }

    /// Number of NaN and infinite elements.
    pub fn non_finite(&self) -> u64 {
        self.nan + self.pos_inf + self.neg_inf
    }
}

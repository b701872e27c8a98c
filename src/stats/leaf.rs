//! The statistics of one leaf: a fixed number of consecutive elements of a tensor.

/// Health of the block scales of a leaf. Zero throughout for a dtype without blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScaleHealth {
    /// Blocks seen: runs of elements with a stored scale of their own (16 elements for NVFP4, else a block of the dtype).
    pub blocks: u64,
    /// Blocks with a scale (or minimum) that is NaN: E8M0 code 255 and E4M3 code 127 included, though ggml decodes them as numbers.
    pub nan: u64,
    /// Blocks with a scale (or minimum) that is infinite.
    pub inf: u64,
    /// Blocks whose scale is +0.0 or -0.0.
    pub zero: u64,
}

/// Counts, extremes and sums over the decoded values of a leaf.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LeafStats {
    /// Elements, of any value.
    pub elements: u64,
    /// Elements that are +0.0 or -0.0.
    pub zeros: u64,
    /// Elements that are -0.0.
    pub negative_zeros: u64,
    /// Elements that are NaN.
    pub nan: u64,
    /// Elements that are +Inf.
    pub pos_inf: u64,
    /// Elements that are -Inf.
    pub neg_inf: u64,
    /// Smallest finite value; +Inf if there is none.
    pub min: f64,
    /// Largest finite value; -Inf if there is none.
    pub max: f64,
    /// Sum of the finite values.
    pub sum: f64,
    /// Sum of the squares of the finite values.
    pub sum_sq: f64,
    /// Health of the block scales.
    pub scales: ScaleHealth,
}

impl Default for LeafStats {
    fn default() -> Self {
        LeafStats {
            elements: 0,
            zeros: 0,
            negative_zeros: 0,
            nan: 0,
            pos_inf: 0,
            neg_inf: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            sum: 0.0,
            sum_sq: 0.0,
            scales: ScaleHealth::default(),
        }
    }
}

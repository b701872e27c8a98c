//! What is kept of a batch of blocks: integers that say all about the codes that the statistics need.
//!
//! A *unit* is a run of elements under one stored scale: a block, or a quarter of an NVFP4 block. In a unit of the first kind
//! ([`Products`]) every value is d x p, where p is a small integer (a code, or a code times the small integer scale of its group).
//! With |p| < 2^13 and an f16 d that product is exact in an f32: zeros are where p is 0, extremes where p is extreme, and
//! the sums are d x (sum of p) and d^2 x (sum of p^2). In the second kind a minimum is taken off ([`Flat`], [`Affine`]).
//!
//! A kernel fills these integers; they are the same however it is written. `fold` takes it from there.

/// Units in a batch.
pub(super) const BATCH: usize = 64;

/// The scale of a unit that has been dealt with: no stored scale is this (an f32 that is goes to decoding).
pub(super) const DONE: f32 = f32::from_bits(0x0080_0001);

/// Units whose values are d x p.
#[repr(align(64))]
pub(super) struct Products {
    /// The scale; not finite where the unit must be decoded.
    pub(super) d: [f32; BATCH],
    /// Sum of p.
    pub(super) sum: [i32; BATCH],
    /// Sum of p^2.
    pub(super) sum_sq: [u32; BATCH],
    /// How often p is 0.
    pub(super) zeros: [u32; BATCH],
    /// How often p is 0 with one negative factor: such a value is -0.0 if d is positive.
    pub(super) negative: [u32; BATCH],
    /// No p is larger.
    pub(super) high: [i32; BATCH],
    /// No p is smaller.
    pub(super) low: [i32; BATCH],
}

/// Units whose values are d x q + m, q unsigned.
#[repr(align(64))]
pub(super) struct Flat {
    /// The scale.
    pub(super) d: [f32; BATCH],
    /// The minimum.
    pub(super) m: [f32; BATCH],
    /// Sum of q.
    pub(super) sum: [i32; BATCH],
    /// Sum of q^2.
    pub(super) sum_sq: [u32; BATCH],
}

/// Superblocks whose values are (d x scale) x q - (dmin x minimum), scale and minimum integers of a group, q unsigned.
#[repr(align(64))]
pub(super) struct Affine {
    /// The scale of the scales.
    pub(super) d: [f32; BATCH],
    /// The scale of the minimums.
    pub(super) dmin: [f32; BATCH],
    /// The groups' scales, four to a word, group 0 lowest; two or four words are in use.
    pub(super) scales: [[u32; BATCH]; 4],
    /// The groups' minimums.
    pub(super) mins: [[u32; BATCH]; 4],
    /// Sum of scale x q.
    pub(super) sum: [i32; BATCH],
    /// Sum of (scale x q)^2.
    pub(super) sum_sq: [i32; BATCH],
    /// Sum of scale x minimum x q.
    pub(super) cross: [i32; BATCH],
}

/// Bytes of the most and largest blocks that a kernel takes at a time.
const LARGEST_STEP: usize = 16 * 176;

/// Runs `step` on `STEP` blocks of `SIZE` bytes at a time; the last ones are padded with zeros. Its second argument is the first
/// unit.
#[inline(always)]
pub(super) fn steps<const STEP: usize, const SIZE: usize>(bytes: &[u8], mut step: impl FnMut(&[u8], usize)) {
    const { assert!(STEP * SIZE <= LARGEST_STEP) }
    for (blocks, unit) in bytes.chunks(STEP * SIZE).zip((0..BATCH).step_by(STEP)) {
        if blocks.len() == STEP * SIZE {
            step(blocks, unit);
        } else {
            let mut padded = [0; LARGEST_STEP];
            padded[..blocks.len()].copy_from_slice(blocks);
            step(&padded[..STEP * SIZE], unit);
        }
    }
}

impl Products {
    /// An empty batch for codes from `low` to `high`.
    pub(super) fn new(low: i32, high: i32) -> Self {
        Products {
            d: [0.0; BATCH],
            sum: [0; BATCH],
            sum_sq: [0; BATCH],
            zeros: [0; BATCH],
            negative: [0; BATCH],
            high: [high; BATCH],
            low: [low; BATCH],
        }
    }

    /// Makes unit `i` one that adds nothing, under a scale that is not 0 and gives no extreme.
    #[inline(always)]
    pub(super) fn clear(&mut self, i: usize) {
        self.d[i] = DONE;
        (self.sum[i], self.sum_sq[i], self.zeros[i], self.negative[i]) = (0, 0, 0, 0);
    }

    /// Bounds of p where codes run from `low` to `high` and group scales are `scales`.
    #[inline(always)]
    pub(super) fn bound(&mut self, i: usize, scales: &[i8], low: i32, high: i32) {
        // In 32 bits: a choice between bytes is compiled to a branch.
        let (mut least, mut most) = (i32::MAX, i32::MIN);
        for &s in scales {
            let s = i32::from(s);
            least = least.min(s);
            most = most.max(s);
        }
        self.range(i, least, most, low, high);
    }

    /// Bounds of p where codes run from `low` to `high` and group scales from `least` to `most`.
    #[inline(always)]
    pub(super) fn range(&mut self, i: usize, least: i32, most: i32, low: i32, high: i32) {
        self.high[i] = (most * high).max(least * low);
        self.low[i] = (most * low).min(least * high);
    }
}

impl Flat {
    /// An empty batch.
    pub(super) fn new() -> Self {
        Flat { d: [0.0; BATCH], m: [0.0; BATCH], sum: [0; BATCH], sum_sq: [0; BATCH] }
    }

    /// Makes unit `i` one that adds nothing, under a scale that is not 0.
    #[inline(always)]
    pub(super) fn clear(&mut self, i: usize) {
        (self.d[i], self.m[i], self.sum[i], self.sum_sq[i]) = (DONE, 0.0, 0, 0);
    }
}

impl Affine {
    /// An empty batch.
    pub(super) fn new() -> Self {
        Affine {
            d: [0.0; BATCH],
            dmin: [0.0; BATCH],
            scales: [[0; BATCH]; 4],
            mins: [[0; BATCH]; 4],
            sum: [0; BATCH],
            sum_sq: [0; BATCH],
            cross: [0; BATCH],
        }
    }

    /// Makes unit `i` one that adds nothing, under a scale that is not 0.
    #[inline(always)]
    pub(super) fn clear(&mut self, i: usize) {
        (self.d[i], self.dmin[i], self.sum[i], self.sum_sq[i], self.cross[i]) = (DONE, 0.0, 0, 0, 0);
    }
}

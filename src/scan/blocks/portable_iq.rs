//! Plain code that fills batches of i-quants with grids: rows of eight codes are put side by side, then counted like any others.
//!
//! p is (2 s + 1) x magnitude x sign, or for IQ1 (2 s + 1) x (8 value ± 1); d is the f16 with the powers of two that are left.
//! No p is 0, so that zeros come only from a zero d, which is left to decoding.

use super::iq1::{self, Shifted};
use super::iq2::{self, EightValues};
use super::portable::tally;
use super::sums::{BATCH, Products};
use super::{f16_at, f16_to_f32, iq3};

/// A byte of ones for each set bit.
static SPREAD: [u64; 256] = spread();

const fn spread() -> [u64; 256] {
    let mut table = [0; 256];
    let mut signs = 0;
    while signs < 256 {
        let mut j = 0;
        while j < 8 {
            if signs >> j & 1 == 1 {
                table[signs] |= 0xff << (8 * j);
            }
            j += 1;
        }
        signs += 1;
    }
    table
}

/// Fills a superblock from its codes and its odd scales, one for `PER` codes.
#[inline(always)]
fn fill<const PER: usize>(batch: &mut Products, i: usize, scales: &[i8], codes: &[i8; 256], most: i32) {
    let (mut sum, mut sum_sq) = (0i32, 0u32);
    for (codes, &scale) in codes.as_chunks::<PER>().0.iter().zip(scales) {
        let (s1, s2, _) = tally(codes);
        let s = i32::from(scale);
        sum += s * s1;
        sum_sq += (s * s) as u32 * s2;
    }
    (batch.sum[i], batch.sum_sq[i]) = (sum, sum_sq);
    batch.bound(i, scales, -most, most);
}

/// IQ2 and IQ3: `PER` elements share a scale.
#[inline(always)]
fn signed<const PER: usize>(batch: &mut Products, i: usize, most: i32, eight: impl Fn(usize) -> EightValues) {
    let (mut rows, mut signs) = ([0u8; 256], [0u8; 256]);
    let mut scales = [0i8; 16];
    for at in 0..32 {
        let e = eight(at);
        rows[8 * at..][..8].copy_from_slice(&e.row.to_le_bytes());
        signs[8 * at..][..8].copy_from_slice(&SPREAD[usize::from(e.signs)].to_le_bytes());
        if at % (PER / 8) == 0 {
            scales[at / (PER / 8)] = 2 * e.scale as i8 + 1;
        }
    }
    let mut codes = [0i8; 256];
    for (code, (&row, &sign)) in codes.iter_mut().zip(rows.iter().zip(&signs)) {
        *code = ((row ^ sign).wrapping_sub(sign)) as i8;
    }
    fill::<PER>(batch, i, &scales[..256 / PER], &codes, most);
}

/// IQ1: `PER` elements share a scale.
#[inline(always)]
fn shifted<const PER: usize>(batch: &mut Products, i: usize, eight: impl Fn(usize) -> Shifted) {
    let mut codes = [0i8; 256];
    let mut scales = [0i8; 16];
    for at in 0..32 {
        let e = eight(at);
        let delta = if e.down { -1 } else { 1 };
        let row = e.row.to_le_bytes().map(|v| (v as i8).wrapping_mul(8) + delta);
        codes[8 * at..][..8].copy_from_slice(&row);
        if at % (PER / 8) == 0 {
            scales[at / (PER / 8)] = 2 * e.scale as i8 + 1;
        }
    }
    fill::<PER>(batch, i, &scales[..256 / PER], &codes, 9);
}

macro_rules! kernels {
    ($($name:ident: $size:literal, $factor:literal, $call:expr;)*) => {$(
        #[inline(always)]
        pub(super) fn $name(bytes: &[u8], batch: &mut Products) {
            for (i, block) in bytes.as_chunks::<$size>().0.iter().take(BATCH).enumerate() {
                batch.d[i] = f16_at(block, 0) * $factor;
                $call(batch, i, block);
            }
        }
    )*};
}

kernels! {
    iq2_xxs: 66, 0.125, |batch, i, b: &[u8; 66]| signed::<32>(batch, i, 43, |at| iq2::xxs_eight(b, at));
    iq2_xs: 74, 0.125, |batch, i, b: &[u8; 74]| signed::<16>(batch, i, 43, |at| iq2::xs_eight(b, at));
    iq2_s: 82, 0.125, |batch, i, b: &[u8; 82]| signed::<16>(batch, i, 43, |at| iq2::s_eight(b, at));
    iq3_xxs: 98, 0.25, |batch, i, b: &[u8; 98]| signed::<32>(batch, i, 62, |at| iq3::xxs_eight(b, at));
    iq3_s: 110, 1.0, |batch, i, b: &[u8; 110]| signed::<32>(batch, i, 15, |at| iq3::s_eight(b, at));
    iq1_s: 50, 0.125, |batch, i, b: &[u8; 50]| shifted::<32>(batch, i, |at| iq1::s_eight(b, at));
}

/// The f16 of IQ1_M is not at the start.
#[inline(always)]
pub(super) fn iq1_m(bytes: &[u8], batch: &mut Products) {
    for (i, block) in bytes.as_chunks::<56>().0.iter().take(BATCH).enumerate() {
        batch.d[i] = f16_to_f32(iq1::m_scale(block)) * 0.125;
        shifted::<16>(batch, i, |at| iq1::m_eight(block, at));
    }
}

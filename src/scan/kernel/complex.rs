//! C64: pairs of F32.
//!
//! An element is zero if both parts are, NaN if a part is NaN, else infinite if a part is infinite, with the sign of the real
//! part if that is the infinite one. It has no order and no moments.

use crate::stats::{ElementCounts, LeafStats};

use super::super::simd::{Level, Token, VectorKernel};

/// Elements looked at together: 4 KiB.
const BLOCK: usize = 512;

const ABS: u32 = 0x7fff_ffff;
const INF: u32 = 0x7f80_0000;

pub(super) fn c64(bytes: &[u8], level: Level) -> LeafStats {
    level.run(ComplexLeaf(bytes))
}

struct ComplexLeaf<'a>(&'a [u8]);

impl VectorKernel for ComplexLeaf<'_> {
    #[inline(always)]
    fn call<S: Token>(self, _token: S) -> LeafStats {
        let elements = self.0.as_chunks::<8>().0;
        let counts = ElementCounts { elements: elements.len() as u64, ..ElementCounts::default() };
        let mut stats = LeafStats { counts, ..LeafStats::default() };
        for block in elements.chunks(BLOCK) {
            let both = || block.iter().map(|element| u64::from_le_bytes(*element));
            let zeros = both().map(|bits| u64::from(bits & 0x7fff_ffff_7fff_ffff == 0)).sum::<u64>();
            stats.zeros += zeros;
            if zeros != 0 {
                stats.negative_zeros += both().map(|bits| u64::from(bits == 0x8000_0000_8000_0000)).sum::<u64>();
            }
            let parts = block.as_flattened().as_chunks::<4>().0;
            let largest = parts.iter().map(|part| u32::from_le_bytes(*part) & ABS).fold(0, u32::max);
            if largest >= INF {
                both().for_each(|bits| odd(bits, &mut stats));
            }
        }
        stats
    }
}

/// Counts an element if it is NaN or infinite.
#[inline(always)]
fn odd(bits: u64, stats: &mut LeafStats) {
    let (re, im) = (bits as u32, (bits >> 32) as u32);
    let nan = re & ABS > INF || im & ABS > INF;
    let (re_infinite, infinite) = (re & ABS == INF, re & ABS == INF || im & ABS == INF);
    let negative = (if re_infinite { re } else { im }) > ABS;
    stats.nan += u64::from(nan);
    stats.pos_inf += u64::from(!nan & infinite & !negative);
    stats.neg_inf += u64::from(!nan & infinite & negative);
}

//! From counted codes to figures.

use super::cast::CastTarget;
use super::class::ElementClass;
use crate::stats::full::{CastLoss, Exponents, FullStats, QUANTILES, Quantiles};
use crate::stats::huffman::{entropy_bits, huffman_bits};

/// For each of [`QUANTILES`], the place (from 0) of its value among `n` in order; `None` for none.
pub(super) fn ranks(n: u64) -> Option<[u64; 10]> {
    (n > 0).then(|| QUANTILES.map(|share| (u128::from(n) * u128::from(share)).div_ceil(1000).saturating_sub(1) as u64))
}

/// The figures that follow from how often each code of a type of at most 16 bits occurs.
pub(super) fn coded(class: &ElementClass, counts: &[(u16, u64)], bytes: u64, cast: Option<CastTarget>) -> FullStats {
    let mut stats = FullStats { subnormals: Some(0), ..FullStats::default() };
    let mut magnitudes = Vec::with_capacity(counts.len());
    let mut exponents = vec![0u64; 256];
    let mut loss = CastLoss::default();
    for &(code, count) in counts {
        let value = class.value(code);
        stats.elements += count;
        if value == 0.0 {
            stats.zeros += count;
        }
        if value.is_finite() {
            magnitudes.push((value.abs(), count));
        }
        if class.is_subnormal(code) {
            stats.subnormals = stats.subnormals.map(|n| n + count);
        }
        if let Some(exponent) = class.exponent(code) {
            exponents[exponent] += count;
        }
        if let Some(target) = cast {
            loss = loss.merge(&target.loss_of(value, count));
        }
    }
    stats.quantiles = quantiles(magnitudes);
    stats.exponents = of_exponents(class, &exponents, bytes);
    stats.cast = cast.filter(|_| is_float(class)).map(|_| loss);
    stats
}

fn is_float(class: &ElementClass) -> bool {
    class.dtype.is_float()
}

/// The quantiles of magnitudes with their counts, given in any order.
pub(super) fn quantiles(mut magnitudes: Vec<(f64, u64)>) -> Option<Quantiles> {
    magnitudes.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let ranks = ranks(magnitudes.iter().map(|(_, count)| count).sum())?;
    let mut found = [0.0; 10];
    let (mut before, mut next) = (0, 0);
    for (magnitude, count) in magnitudes {
        before += count;
        while next < ranks.len() && ranks[next] < before {
            found[next] = magnitude;
            next += 1;
        }
    }
    Some(Quantiles(found))
}

/// What a coder of these exponents needs; `None` for types without an exponent.
fn of_exponents(class: &ElementClass, counts: &[u64], bytes: u64) -> Option<Exponents> {
    let raw = match class.float {
        _ if class.dtype.is_block_quant() => return None,
        Some((_, mantissa)) => 1 + u64::from(mantissa),
        // E8M0 is all exponent.
        None if class.dtype == crate::dtype::Dtype::F8_E8M0 => 0,
        None => return None,
    };
    let elements: u64 = counts.iter().sum();
    Some(Exponents {
        entropy_bits: entropy_bits(counts.iter().copied()),
        huffman_bits: huffman_bits(counts.iter().copied()),
        raw_bits: raw.saturating_mul(elements),
        distinct: counts.iter().filter(|&&n| n > 0).count() as u32,
        stored_bytes: bytes,
        elements,
    })
}

/// The figures of a longer type that follow from the upper 16 bits of its keys: exponents and, with the zeros, subnormals.
pub(super) fn binned(class: &ElementClass, bins: &[(u16, u64)], zeros: u64, bytes: u64) -> FullStats {
    let mut stats = FullStats { zeros, subnormals: Some(0), ..FullStats::default() };
    stats.elements = bins.iter().map(|(_, count)| count).sum();
    let Some((exponent_bits, _)) = class.float else { return stats };
    let mantissa = 16 - exponent_bits;
    let mut exponents = vec![0u64; 1 << exponent_bits];
    for &(bin, count) in bins {
        exponents[usize::from(bin) >> mantissa] += count;
    }
    stats.subnormals = Some(exponents[0].saturating_sub(zeros));
    stats.exponents = of_exponents(class, &exponents, bytes);
    stats
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_those_of_the_inverted_distribution() {
        // The smallest x with F(x) >= p: of 1,000 values in order the 10th, 50th, ... 999th.
        assert_eq!(ranks(1000), Some([9, 49, 99, 249, 499, 749, 899, 949, 989, 998]));
        assert_eq!(ranks(1), Some([0; 10]));
        assert_eq!(ranks(3), Some([0, 0, 0, 0, 1, 2, 2, 2, 2, 2]));
        assert_eq!(ranks(0), None);
        assert!(ranks(u64::MAX).is_some());
    }
}

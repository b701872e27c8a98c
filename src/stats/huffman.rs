//! Length of optimal prefix codes and entropy, from how often each symbol occurs.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Bits that a Huffman code takes for all occurrences together: the sum of the weights of the inner nodes of its tree. A single
/// symbol needs no bits. Source: D. A. Huffman, "A Method for the Construction of Minimum-Redundancy Codes" (1952).
pub fn huffman_bits(counts: impl IntoIterator<Item = u64>) -> u64 {
    let mut heap: BinaryHeap<Reverse<u64>> = counts.into_iter().filter(|&n| n > 0).map(Reverse).collect();
    let mut bits = 0u64;
    while let (Some(Reverse(a)), Some(Reverse(b))) = (heap.pop(), heap.pop()) {
        let both = a.saturating_add(b);
        bits = bits.saturating_add(both);
        if heap.is_empty() {
            break;
        }
        heap.push(Reverse(both));
    }
    bits
}

/// Shannon entropy in bits an occurrence; 0 where nothing occurs.
pub fn entropy_bits(counts: impl IntoIterator<Item = u64> + Clone) -> f64 {
    let total: u64 = counts.clone().into_iter().sum();
    let total = total as f64;
    let term = |n: u64| if n == 0 { 0.0 } else { -(n as f64 / total) * (n as f64 / total).log2() };
    counts.into_iter().map(term).sum::<f64>().max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_known_codes() {
        // CLRS, Introduction to Algorithms, section 16.3: frequencies 45, 13, 12, 16, 9, 5 take 224 bits.
        assert_eq!(huffman_bits([45, 13, 12, 16, 9, 5]), 224);
        assert_eq!(huffman_bits([1, 1, 0, 1, 1]), 8);
        assert_eq!((huffman_bits([7]), huffman_bits([]), huffman_bits([3, 5])), (0, 0, 8));
        assert!((entropy_bits([1u64, 1, 2]) - 1.5).abs() < 1e-15);
        assert_eq!((entropy_bits([4u64, 0]), entropy_bits([])), (0.0, 0.0));
    }

    #[test]
    fn a_huffman_code_lies_within_a_bit_of_the_entropy() {
        let counts: Vec<u64> = (1..40u64).map(|i| 1 + i * i % 97).collect();
        let total: u64 = counts.iter().sum();
        let (length, entropy) = (huffman_bits(counts.clone()) as f64 / total as f64, entropy_bits(counts));
        assert!(entropy <= length && length < entropy + 1.0);
    }
}

//! The two greedy splits and the order of names.

use std::cmp::Ordering;

use super::shards::{Order, ShardTensor};

/// Indices of the tensors in the order in which a tool walks them.
pub(crate) fn order(tensors: &[ShardTensor<'_>], by: Order) -> Vec<usize> {
    let mut out: Vec<usize> = (0..tensors.len()).collect();
    if by == Order::NaturalNames {
        out.sort_by(|&a, &b| natural(tensors[a].name, tensors[b].name));
    }
    out
}

/// Runs of digits compare as numbers, the rest as text.
pub(crate) fn natural(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    // Names share long prefixes: skip them, back to the start of a number that the difference lies in.
    const STEP: usize = 16;
    let mut at = a.chunks_exact(STEP).zip(b.chunks_exact(STEP)).take_while(|(a, b)| a == b).count() * STEP;
    at += a[at..].iter().zip(&b[at..]).take_while(|(a, b)| a == b).count();
    while at > 0 && a[at - 1].is_ascii_digit() {
        at -= 1;
    }
    let (mut a, mut b) = (&a[at..], &b[at..]);
    loop {
        // Text up to the next digit, then the number, as a split at runs of digits pairs them.
        let (text_a, rest_a) = run(a, |c| !c.is_ascii_digit());
        let (text_b, rest_b) = run(b, |c| !c.is_ascii_digit());
        match text_a.cmp(text_b) {
            Ordering::Equal => {}
            other => return other,
        }
        let (number_a, next_a) = run(rest_a, |c| c.is_ascii_digit());
        let (number_b, next_b) = run(rest_b, |c| c.is_ascii_digit());
        match (number_a.is_empty(), number_b.is_empty()) {
            (true, true) => return Ordering::Equal,
            (true, false) => return Ordering::Less,
            (false, true) => return Ordering::Greater,
            (false, false) => {}
        }
        let (plain_a, plain_b) = (without_zeros(number_a), without_zeros(number_b));
        match plain_a.len().cmp(&plain_b.len()).then_with(|| plain_a.cmp(plain_b)) {
            Ordering::Equal => {}
            other => return other,
        }
        (a, b) = (next_a, next_b);
    }
}

fn run(text: &[u8], of: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let end = text.iter().position(|&c| !of(c)).unwrap_or(text.len());
    text.split_at(end)
}

fn without_zeros(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|&&c| c == b'0').count();
    &digits[zeros..]
}

/// `split_state_dict_into_shards`: a tensor above the limit becomes a shard of its own at once, so before the one being filled;
/// otherwise a shard is closed when the next tensor would not fit. Exactly full still fits.
pub(crate) fn oversized_apart(sizes: &[u64], limit: u64) -> Vec<Vec<usize>> {
    let mut shards = Vec::new();
    let mut current = Vec::new();
    let mut filled = 0u64;
    for (i, &size) in sizes.iter().enumerate() {
        if size > limit {
            shards.push(vec![i]);
            continue;
        }
        if filled.saturating_add(size) > limit {
            shards.push(std::mem::take(&mut current));
            filled = 0;
        }
        current.push(i);
        filled = filled.saturating_add(size);
    }
    if !current.is_empty() {
        shards.push(current);
    }
    shards
}

/// `make_shards` of mlx-lm: a shard is closed when the next tensor would not fit; never an empty one.
pub(crate) fn in_order(sizes: &[u64], limit: u64) -> Vec<Vec<usize>> {
    let mut shards = Vec::new();
    let mut current = Vec::new();
    let mut filled = 0u64;
    for (i, &size) in sizes.iter().enumerate() {
        if !current.is_empty() && filled.saturating_add(size) > limit {
            shards.push(std::mem::take(&mut current));
            filled = 0;
        }
        current.push(i);
        filled = filled.saturating_add(size);
    }
    if !current.is_empty() {
        shards.push(current);
    }
    shards
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_as_numbers() {
        let sorted = [
            "a.2.b",
            "a.2.b.c",
            "a.02.d",
            "a.9.x",
            "a.10.b",
            "a.10.c",
            "a.100000000000000000000.b",
            "a.b",
            "a.c2",
            "a.c10",
            "a.long.prefix.of.some.length.9.weight",
            "a.long.prefix.of.some.length.10.weight",
            "a.long.prefix.of.some.length.10.weight.x",
            "b",
        ];
        for (i, x) in sorted.iter().enumerate() {
            for (k, y) in sorted.iter().enumerate() {
                assert_eq!(natural(x, y), i.cmp(&k), "{x} {y}");
            }
        }
    }
}

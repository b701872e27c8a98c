//! From the elements of a row to a bit each: 1 for what is not zero.

/// Appends the bits of a row: 64 elements a word, the last word filled up with ones.
pub(super) fn pack<const N: usize>(row: &[u8], mask: u64, out: &mut Vec<u64>) {
    let mut chunks = row.as_chunks::<N>().0.chunks_exact(64);
    for chunk in &mut chunks {
        let mut word = 0;
        for (i, element) in chunk.iter().enumerate() {
            word |= u64::from(load(element) & mask != 0) << i;
        }
        out.push(word);
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        let mut word = u64::MAX << rest.len();
        for (i, element) in rest.iter().enumerate() {
            word |= u64::from(load(element) & mask != 0) << i;
        }
        out.push(word);
    }
}

/// The bits of an element, lowest byte first.
#[inline(always)]
pub(super) fn load<const N: usize>(element: &[u8; N]) -> u64 {
    let mut bits = 0;
    for (i, byte) in element.iter().enumerate() {
        bits |= u64::from(*byte) << (8 * i);
    }
    bits
}

/// As [`pack`], for decoded values.
pub(super) fn pack_values(row: &[f32], out: &mut Vec<u64>) {
    for chunk in row.chunks(64) {
        let mut word = if chunk.len() == 64 { 0 } else { u64::MAX << chunk.len() };
        for (i, value) in chunk.iter().enumerate() {
            word |= u64::from(*value != 0.0) << i;
        }
        out.push(word);
    }
}

/// How many of the 4 bits of each nibble are set, in that nibble.
#[inline(always)]
pub(super) fn per_nibble(word: u64) -> u64 {
    const ONES: u64 = 0x5555_5555_5555_5555;
    const TWOS: u64 = 0x3333_3333_3333_3333;
    let pairs = word - (word >> 1 & ONES);
    (pairs & TWOS) + (pairs >> 2 & TWOS)
}

/// How many of the 8 bits of each byte are set, in that byte.
#[inline(always)]
pub(super) fn per_byte(word: u64) -> u64 {
    let nibbles = per_nibble(word);
    (nibbles & 0x0f0f_0f0f_0f0f_0f0f) + (nibbles >> 4 & 0x0f0f_0f0f_0f0f_0f0f)
}

/// How many runs of `width` bits (4, 8, 16 or 32, from bit 0 on) are all zero.
#[inline(always)]
pub(super) fn empty_runs(mut word: u64, width: u32) -> u32 {
    // Every bit of a run comes to stand in its lowest bit.
    let mut shift = 1;
    while shift < width {
        word |= word >> shift;
        shift *= 2;
    }
    let lowest = u64::MAX / (u64::MAX >> (64 - width));
    (!word & lowest).count_ones()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_as_they_are_counted_by_hand() {
        let mut state = 7u64;
        for _ in 0..200 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let word = state & state.rotate_left(17) & if state >> 60 > 8 { 0xffff_0000_ff00_0ff0 } else { u64::MAX };
            for (width, counted) in [(4, per_nibble(word)), (8, per_byte(word))] {
                for run in 0..64 / width {
                    let bits = word >> (run * width) & ((1 << width) - 1);
                    assert_eq!(counted >> (run * width) & ((1 << width) - 1), u64::from(bits.count_ones()));
                }
            }
            for width in [4u32, 8, 16, 32] {
                let runs = (0..64 / width).filter(|run| word >> (run * width) & ((1u64 << width) - 1) == 0).count();
                assert_eq!(empty_runs(word, width) as usize, runs, "{word:x} {width}");
            }
        }
        assert_eq!(empty_runs(0, 32), 2);
    }

    #[test]
    fn both_zeros_are_zero_and_the_last_word_is_filled_up() {
        let mut out = Vec::new();
        let row: Vec<u8> = [0u16, 0x8000, 1, 0x7fff].iter().flat_map(|x| x.to_le_bytes()).collect();
        pack::<2>(&row, 0x7fff, &mut out);
        pack_values(&[0.0, -0.0, f32::NAN, f32::MIN_POSITIVE], &mut out);
        assert_eq!(out, [!3, !3]);
    }
}

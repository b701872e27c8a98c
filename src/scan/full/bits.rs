//! From the elements of a row to a bit each: 1 for what is not zero.

/// Appends the bits of a row of elements of `N` bytes (1, 2, 4 or 8): 64 elements a word, the last word filled up with ones. An
/// element is zero if it has none of the bits of `mask`.
pub(super) fn pack<const N: usize>(row: &[u8], mask: u64, out: &mut Vec<u64>) {
    // Eight bytes at once, the elements in them as lanes.
    let lanes = 8 / N;
    let bits = 8 * N as u32;
    let every = u64::MAX / (u64::MAX >> (64 - bits));
    let (mask, top) = ((mask & (u64::MAX >> (64 - bits))).wrapping_mul(every), every << (bits - 1));
    let filled = |piece: u64| {
        let piece = piece & mask;
        // The highest bit of every lane that is not zero; no lane runs over.
        let high = (((piece & !top) + (top - every)) | piece) & top;
        gather::<N>(high >> (bits - 1))
    };
    let (words, rest) = row.as_chunks::<8>();
    for chunk in words.chunks(8 * N) {
        let mut word = 0;
        for (i, piece) in chunk.iter().enumerate() {
            word |= filled(u64::from_le_bytes(*piece)) << (i * lanes);
        }
        if chunk.len() < 8 * N {
            word |= u64::MAX << (chunk.len() * lanes);
        }
        out.push(word);
    }
    // Elements that are fewer than eight bytes.
    let before = words.len() * lanes;
    for (i, element) in rest.as_chunks::<N>().0.iter().enumerate() {
        let bit = (before + i) % 64;
        if bit == 0 {
            out.push(u64::MAX);
        }
        if load(element) & mask & (u64::MAX >> (64 - bits)) == 0
            && let Some(word) = out.last_mut()
        {
            *word &= !(1 << bit);
        }
    }
}

/// The lowest bits of lanes of `N` bytes, one beside the other.
#[inline(always)]
fn gather<const N: usize>(lowest: u64) -> u64 {
    match N {
        1 => lowest.wrapping_mul(0x0102_0408_1020_4080) >> 56,
        2 => lowest.wrapping_mul(0x0001_0002_0004_0008) >> 48 & 15,
        4 => (lowest | lowest >> 31) & 3,
        _ => lowest,
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

/// Packs decoded values as [`pack`] does bytes.
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

/// How many bytes are at most 4, and how many are 4, where each is at most 8.
#[inline(always)]
pub(super) fn bytes_up_to_four(bytes: u64) -> (u32, u32) {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOP: u64 = 0x80 * ONES;
    let above = (bytes + 0x7b * ONES) & TOP;
    let other = ((bytes ^ (4 * ONES)) + 0x7f * ONES) & TOP;
    (8 - above.count_ones(), 8 - other.count_ones())
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
            let eights = per_byte(word).to_le_bytes();
            let plain = |test: &dyn Fn(u8) -> bool| eights.iter().filter(|n| test(**n)).count() as u32;
            assert_eq!(bytes_up_to_four(per_byte(word)), (plain(&|n| n <= 4), plain(&|n| n == 4)));
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

    fn packed_by_hand<const N: usize>(row: &[u8], mask: u64) -> Vec<u64> {
        let bits: Vec<bool> = row.as_chunks::<N>().0.iter().map(|e| load(e) & mask != 0).collect();
        let word = |chunk: &[bool]| (0..64).fold(0, |word, i| word | u64::from(chunk.get(i).copied().unwrap_or(true)) << i);
        bits.chunks(64).map(word).collect()
    }

    #[test]
    fn lanes_give_what_elements_give() {
        let mut state = 11u64;
        let bytes: Vec<u8> = (0..3000)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                [0, 0, 0, 0x80, 1, 0x7f, 0xff][(state >> 40) as usize % 7]
            })
            .collect();
        for elements in [1, 3, 7, 63, 64, 65, 66, 127, 130, 375] {
            let mut out = [const { Vec::new() }; 4];
            pack::<1>(&bytes[..elements], 0x7f, &mut out[0]);
            pack::<2>(&bytes[..2 * elements], 0x7fff, &mut out[1]);
            pack::<4>(&bytes[..4 * elements], u64::MAX, &mut out[2]);
            pack::<8>(&bytes[..8 * elements], u64::MAX >> 1, &mut out[3]);
            assert_eq!(out[0], packed_by_hand::<1>(&bytes[..elements], 0x7f));
            assert_eq!(out[1], packed_by_hand::<2>(&bytes[..2 * elements], 0x7fff));
            assert_eq!(out[2], packed_by_hand::<4>(&bytes[..4 * elements], u64::MAX));
            assert_eq!(out[3], packed_by_hand::<8>(&bytes[..8 * elements], u64::MAX >> 1));
        }
    }
}

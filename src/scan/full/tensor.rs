//! The passes over a band: what each adds to the figures of its tensor.

use std::ops::Range;

use super::super::blocks::block;
use super::super::simd::Level;
use super::band::{Band, Cut};
use super::bits::{load, pack, pack_values};
use super::cast::CastTarget;
use super::class::{ElementClass, NumberKind, Storage};
use super::counter::{CODES, Counter};
use super::refine::{Filter, Search};
use super::structure::Gather;
use crate::dtype::Dtype;
use crate::stats::full::{CastLoss, Narrower};

/// What one thread has of a tensor, besides the counters.
#[derive(Debug, Clone)]
pub(super) struct Partial {
    pub(super) gather: Option<Gather>,
    pub(super) zeros: u64,
    pub(super) first_nan: Option<u64>,
    pub(super) first_inf: Option<u64>,
    pub(super) narrower: Narrower,
    /// By band: floats are added up in the order of the bands.
    pub(super) losses: Vec<(u64, CastLoss)>,
}

impl Partial {
    pub(super) fn new(cut: &Cut) -> Self {
        Self {
            gather: cut.geometry.map(Gather::new),
            zeros: 0,
            first_nan: None,
            first_inf: None,
            narrower: Narrower::default(),
            losses: Vec::new(),
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        if let (Some(mine), Some(theirs)) = (&mut self.gather, &other.gather) {
            mine.merge(theirs);
        }
        let first = |a: Option<u64>, b: Option<u64>| a.into_iter().chain(b).min();
        self.zeros += other.zeros;
        self.first_nan = first(self.first_nan, other.first_nan);
        self.first_inf = first(self.first_inf, other.first_inf);
        let (a, b) = (&mut self.narrower, other.narrower);
        (a.values, a.bf16, a.f16) = (a.values + b.values, a.bf16 + b.bf16, a.f16 + b.f16);
        self.losses.extend(other.losses);
    }

    /// What the cast loses of the whole.
    pub(super) fn loss(&mut self) -> CastLoss {
        self.losses.sort_unstable_by_key(|(band, _)| *band);
        self.losses.iter().fold(CastLoss::default(), |sum, (_, loss)| sum.merge(loss))
    }
}

/// What a thread keeps from band to band.
pub(super) struct Worker {
    pub(super) counter: Counter,
    pub(super) buffer: Vec<u8>,
    pub(super) gathered: Vec<u8>,
    codes: Vec<u8>,
    values: Vec<f32>,
    bits: Vec<u64>,
}

impl Worker {
    pub(super) fn new() -> Self {
        Self {
            counter: Counter::new(),
            buffer: Vec::new(),
            gathered: Vec::new(),
            codes: Vec::new(),
            values: Vec::new(),
            bits: Vec::new(),
        }
    }

    /// Counts a band: the first pass.
    pub(super) fn count_band(&mut self, cut: &Cut, band: &Band, bytes: &[u8], cast: Option<CastTarget>, partial: &mut Partial) {
        let class = &cut.class;
        let (zeros, odd);
        let mut loss = None;
        match class.storage {
            Storage::Nibbles | Storage::Sixes | Storage::Bytes | Storage::Halves => {
                unpack(class, bytes, band.place.rows * band.place.columns, &mut self.codes);
                let before = special(class, &self.counter);
                match class.storage {
                    Storage::Halves => self.counter.halves(bytes),
                    Storage::Bytes => self.counter.bytes(bytes),
                    _ => self.counter.bytes(&self.codes),
                }
                let after = special(class, &self.counter);
                (zeros, odd) = (after.0 - before.0, after.1 > before.1);
            }
            Storage::Words => {
                let words = bytes.as_chunks::<4>().0;
                zeros = words.iter().filter(|w| u32::from_le_bytes(**w) & class.mask as u32 == 0).count() as u64;
                odd = self.count_keys(class, words.iter().map(|w| u64::from(class.key32(u32::from_le_bytes(*w)))));
                if class.dtype == Dtype::F32 {
                    narrower(words, &mut partial.narrower);
                    loss = cast.map(|c| c.loss(words.len(), |i| f64::from(f32::from_le_bytes(words[i]))));
                }
            }
            Storage::Longs => {
                let words = bytes.as_chunks::<8>().0;
                zeros = words.iter().filter(|w| u64::from_le_bytes(**w) & class.mask == 0).count() as u64;
                odd = class.kind == NumberKind::Complex
                    || self.count_keys(class, words.iter().map(|w| class.key64(u64::from_le_bytes(*w))));
                if class.dtype == Dtype::F64 {
                    loss = cast.map(|c| c.loss(words.len(), |i| f64::from_le_bytes(words[i])));
                }
            }
            Storage::Blocks => {
                decode(class.dtype, bytes, &mut self.values);
                let values = std::mem::take(&mut self.values);
                zeros = values.iter().filter(|x| **x == 0.0).count() as u64;
                odd = self.count_keys(class, values.iter().map(|x| u64::from(x.to_bits() & 0x7fff_ffff)));
                loss = cast.map(|c| c.loss(values.len(), |i| f64::from(values[i])));
                self.values = values;
            }
        }
        partial.zeros += zeros;
        partial.losses.extend(loss.map(|loss| (band.index, loss)));
        if odd {
            self.find_odd(cut, band, bytes, partial);
        }
        let Some(gather) = &mut partial.gather else { return };
        if zeros == 0 {
            gather.add_full(band.place);
        } else {
            self.pack(class, bytes, band);
            gather.add(band.place, &self.bits);
        }
    }

    /// Counts the codes of a band of floats, or the upper 16 bits of their magnitudes as F32.
    pub(super) fn tally(&mut self, cut: &Cut, band: &Band, bytes: &[u8], counter: &mut Counter) {
        let class = &cut.class;
        match class.storage {
            Storage::Halves => counter.halves(bytes),
            Storage::Bytes => counter.bytes(bytes),
            Storage::Nibbles | Storage::Sixes => {
                unpack(class, bytes, band.place.rows * band.place.columns, &mut self.codes);
                counter.bytes(&self.codes);
            }
            Storage::Words => {
                let key = |word: &[u8; 4]| (class.key32(u32::from_le_bytes(*word)) >> 15) as u16;
                counter.all(bytes.as_chunks::<4>().0.iter().map(key));
            }
            Storage::Longs | Storage::Blocks => class.f32_keys(bytes, |key| counter.all(std::iter::once((key >> 15) as u16))),
        }
    }

    /// Counts the upper bits of keys; says whether any was NaN or infinite.
    fn count_keys(&mut self, class: &ElementClass, keys: impl Iterator<Item = u64>) -> bool {
        let Some(bits) = class.key_bits() else { return false };
        let shift = bits - 16;
        let top = if class.kind == NumberKind::Float { (class.infinite_key() >> shift) as usize..CODES } else { 0..0 };
        let before = self.counter.sum(top.clone());
        self.counter.all(keys.map(|key| (key >> shift) as u16));
        self.counter.sum(top) > before
    }

    /// Where the first NaN and the first infinity lie, unless earlier ones are known.
    fn find_odd(&self, cut: &Cut, band: &Band, bytes: &[u8], partial: &mut Partial) {
        let place = band.place;
        let element = |i: usize| {
            let (row, column) = ((i / place.columns) as u64, (i % place.columns) as u64);
            (place.row + row) * cut.width() + place.column + column
        };
        let class = &cut.class;
        let find = |test: &dyn Fn(f64) -> bool, known: &mut Option<u64>| {
            if known.is_some_and(|known| known <= element(0)) {
                return;
            }
            let first = match class.storage {
                Storage::Nibbles | Storage::Sixes => self.codes.iter().position(|c| test(class.value(u16::from(*c)))),
                Storage::Bytes => bytes.iter().position(|c| test(class.value(u16::from(*c)))),
                Storage::Halves => bytes.as_chunks::<2>().0.iter().position(|c| test(class.value(u16::from_le_bytes(*c)))),
                Storage::Words => bytes.as_chunks::<4>().0.iter().position(|c| test(f64::from(f32::from_le_bytes(*c)))),
                Storage::Longs if class.kind == NumberKind::Complex => bytes.as_chunks::<8>().0.iter().position(|pair| {
                    let [re, im] = [0, 4].map(|at| f32::from_le_bytes([pair[at], pair[at + 1], pair[at + 2], pair[at + 3]]));
                    // As the base pass counts: a pair with a NaN is a NaN, even beside an infinity.
                    test(if re.is_nan() || im.is_nan() { f64::NAN } else { f64::from(re.abs().max(im.abs())) })
                }),
                Storage::Longs => bytes.as_chunks::<8>().0.iter().position(|c| test(f64::from_le_bytes(*c))),
                Storage::Blocks => self.values.iter().position(|x| test(f64::from(*x))),
            };
            if let Some(first) = first.map(element) {
                *known = Some(known.map_or(first, |known| known.min(first)));
            }
        };
        find(&|x| x.is_nan(), &mut partial.first_nan);
        find(&|x| x.is_infinite(), &mut partial.first_inf);
    }

    /// A bit for each element of the band, row by row.
    fn pack(&mut self, class: &ElementClass, bytes: &[u8], band: &Band) {
        self.bits.clear();
        if class.storage == Storage::Blocks {
            for row in self.values.chunks_exact(band.place.columns) {
                pack_values(row, &mut self.bits);
            }
            return;
        }
        let (bytes, row) = match class.storage {
            Storage::Nibbles | Storage::Sixes => (&self.codes[..], band.place.columns),
            _ => (bytes, usize::try_from(band.row_bytes).unwrap_or(usize::MAX)),
        };
        for row in bytes.chunks_exact(row) {
            match class.storage {
                Storage::Halves => pack::<2>(row, class.mask, &mut self.bits),
                Storage::Words => pack::<4>(row, class.mask, &mut self.bits),
                Storage::Longs => pack::<8>(row, class.mask, &mut self.bits),
                _ => pack::<1>(row, class.mask, &mut self.bits),
            }
        }
    }

    /// Takes a further pass over a band: gives every finite key that passes the filter.
    pub(super) fn keys(&mut self, cut: &Cut, bytes: &[u8], filter: &Filter, search: &Search, mut take: impl FnMut(u64)) {
        let class = &cut.class;
        let mut offer = |key: u64| {
            if filter.passes(key) && search.matches(key) {
                take(key);
            }
        };
        match class.storage {
            Storage::Words => {
                bytes.as_chunks::<4>().0.iter().for_each(|w| offer(u64::from(class.key32(u32::from_le_bytes(*w)))));
            }
            Storage::Longs => bytes.as_chunks::<8>().0.iter().for_each(|w| offer(class.key64(u64::from_le_bytes(*w)))),
            Storage::Blocks => {
                decode(class.dtype, bytes, &mut self.values);
                self.values.iter().for_each(|x| offer(u64::from(x.to_bits() & 0x7fff_ffff)));
            }
            _ => {}
        }
    }
}

/// How many zeros and how many NaN or infinities a counter holds.
fn special(class: &ElementClass, counter: &Counter) -> (u64, u64) {
    let sum = |codes: Range<usize>| counter.sum(codes);
    if class.storage == Storage::Halves {
        let Some((exponent, mantissa)) = class.float else { return (sum(0..1), 0) };
        let inf = ((1usize << exponent) - 1) << mantissa;
        return (sum(0..1) + sum(0x8000..0x8001), sum(inf..0x8000) + sum(0x8000 | inf..CODES));
    }
    let (mut zeros, mut odd) = (0, 0);
    for code in 0..class.codes() {
        let value = class.value(code as u16);
        if value == 0.0 {
            zeros += sum(code..code + 1);
        } else if !value.is_finite() {
            odd += sum(code..code + 1);
        }
    }
    (zeros, odd)
}

/// Codes of 4 and 6 bits, a byte each; nothing for others.
fn unpack(class: &ElementClass, bytes: &[u8], elements: usize, codes: &mut Vec<u8>) {
    codes.clear();
    match class.storage {
        Storage::Nibbles => codes.extend(bytes.iter().flat_map(|b| [b & 15, b >> 4])),
        Storage::Sixes => codes.extend(bytes.as_chunks::<3>().0.iter().flat_map(|three| {
            let word = load(three);
            [0, 6, 12, 18].map(|shift| (word >> shift & 63) as u8)
        })),
        _ => return,
    }
    codes.truncate(elements);
}

/// Decodes whole blocks.
fn decode(dtype: Dtype, bytes: &[u8], values: &mut Vec<f32>) {
    let (Some(block), Some(info)) = (block(dtype), dtype.info()) else { return };
    let (elements, size) = (info.elements_per_block as usize, info.bytes_per_block as usize);
    values.resize(bytes.len() / size * elements, 0.0);
    block.decode(Level::best(), bytes, values);
}

/// Counts F32 values that are BF16 or F16 values.
fn narrower(words: &[[u8; 4]], counts: &mut Narrower) {
    const INF: u32 = 0x7f80_0000;
    for chunk in words.chunks(4096) {
        let (mut values, mut bf16, mut f16) = (0u32, 0u32, 0u32);
        for word in chunk {
            let bits = u32::from_le_bytes(*word);
            let magnitude = bits & 0x7fff_ffff;
            let number = magnitude <= INF;
            values += u32::from(number);
            bf16 += u32::from(number & (bits & 0xffff == 0));
            // As `CastTarget::round`, in F32: rounded to the grid of F16, a value of F16 stays what it is.
            let exponent = ((magnitude >> 23) as i32).clamp(127 - 14, 127 + 16);
            let step = f32::from_bits(((exponent + 13) as u32) << 23);
            let value = f32::from_bits(magnitude);
            let same = (value + step) - step == value;
            f16 += u32::from((same & (value <= 65504.0)) | (magnitude == INF));
        }
        counts.values += u64::from(values);
        counts.bf16 += u64::from(bf16);
        counts.f16 += u64::from(f16);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrower_values_are_those_that_a_round_trip_keeps() {
        let mut state = 3u64;
        let mut words = Vec::new();
        for i in 0..40_000u64 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let bits = (state >> 32) as u32;
            // All the F16 values, all the BF16 values at some places, anything else.
            words.push(match i % 3 {
                0 => half::f16::from_bits(bits as u16).to_f32().to_bits(),
                1 => bits & 0xffff_0000,
                _ => bits,
            });
        }
        words.extend([0, 0x8000_0000, 0x7f80_0000, 0xff80_0000, 0x7fc0_0000, 65504f32.to_bits(), 65520f32.to_bits(), 1]);
        let mut counts = Narrower::default();
        narrower(&words.iter().map(|w| w.to_le_bytes()).collect::<Vec<_>>(), &mut counts);
        let values = words.iter().map(|w| f32::from_bits(*w)).filter(|x| !x.is_nan());
        let plain = values.fold(Narrower::default(), |n, x| Narrower {
            values: n.values + 1,
            bf16: n.bf16 + u64::from(half::bf16::from_f32(x).to_f32() == x),
            f16: n.f16 + u64::from(half::f16::from_f32(x).to_f32() == x),
        });
        assert_eq!(counts, plain);
    }
}

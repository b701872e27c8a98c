//! How fast the base pass is, beside the machine's own limit.
//!
//! For each dtype: a file in the page cache is scanned (mapped, fresh map each time, every figure of the base pass), and in turns with
//! that the same mapped bytes are summed as u64 with the same threads, which is as fast as this machine can look at them. The
//! ratio of the two is the result; each is the median of the turns. "Best of best" is the fastest scan beside the fastest sum,
//! which other work on the machine disturbs less.
//!
//!     cargo bench --bench scan                       512 MiB a row, 2 threads, 7 turns
//!     cargo bench --bench scan -- --mib 1024 --threads 1 --turns 11 --simd avx2 --io read BF16 Q4_0
//!
//!     cargo bench --bench scan -- --limit FILE       sums one file once, as a process to time beside `weigh scan FILE`
//!
//! Prints a Markdown table.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used)]

mod quantized;

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use weighbridge::dtype::Dtype;
use weighbridge::observe::Silent;
use weighbridge::scan::{Io, ScanFile, ScanOptions, ScanTensor, Simd, has_kernel, scan};
use weighbridge::source::{FileSource, MappedFile};
use weighbridge::stats::LEAF_ELEMENTS;

struct Settings {
    mib: u64,
    threads: usize,
    turns: usize,
    simd: Simd,
    io: Io,
    only: Vec<String>,
}

fn settings() -> Settings {
    let mut settings = Settings { mib: 512, threads: 2, turns: 7, simd: Simd::Auto, io: Io::Mmap, only: Vec::new() };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().expect("a value");
        match arg.as_str() {
            "--mib" => settings.mib = value().parse().expect("MiB"),
            "--threads" => settings.threads = value().parse().expect("threads"),
            "--turns" => settings.turns = value().parse().expect("turns"),
            "--simd" => {
                settings.simd = match value().as_str() {
                    "portable" => Simd::Portable,
                    "avx2" => Simd::Avx2,
                    "avx512" => Simd::Avx512,
                    "neon" => Simd::Neon,
                    _ => Simd::Auto,
                }
            }
            "--io" => settings.io = if value() == "read" { Io::Read } else { Io::Mmap },
            "--bench" => {}
            _ => settings.only.push(arg),
        }
    }
    settings
}

/// splitmix64, on its way to about normal values.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// About normal: the sum of four uniform values, as a weight of standard deviation 0.02.
    fn weight(&mut self) -> f32 {
        let bits = self.next();
        let sum: u64 = (0..4).map(|i| bits >> (16 * i) & 0xffff).sum();
        (sum as f32 / 65_536.0 - 2.0) * (0.02 * 1.732)
    }
}

/// 8 MiB of a dtype, to be repeated. Random blocks of a quant all have one scale, which is harder than weights are: each may hold an
/// extreme, and many hold an exact zero.
fn data(dtype: Dtype, what: &str) -> Vec<u8> {
    let row = dtype.info().unwrap();
    let blocks = (8 << 20) / row.bytes_per_block;
    let mut noise = Noise(1);
    let mut bytes = Vec::with_capacity(8 << 20);
    for block in 0..blocks {
        let at = block * row.bytes_per_block;
        let value = match what {
            "NaN in every 16 KiB" if at / 16384 != (at + row.bytes_per_block) / 16384 => f32::NAN,
            "all -Inf" => f32::NEG_INFINITY,
            "squares subnormal" => noise.weight() * 1e-20,
            "squares overflow" => noise.weight() * 1e22,
            "mean 1, spread 0.02" => 1.0 + noise.weight(),
            "all zero" => 0.0,
            _ => noise.weight(),
        };
        match dtype {
            _ if what == "weights" && quantized::can(dtype) => quantized::block(dtype, || noise.weight(), &mut bytes),
            Dtype::F64 => bytes.extend(f64::from(value).to_le_bytes()),
            Dtype::F32 => bytes.extend(value.to_le_bytes()),
            Dtype::C64 => bytes.extend([value, noise.weight()].iter().flat_map(|x| x.to_le_bytes())),
            Dtype::BF16 => bytes.extend(((value.to_bits() >> 16) as u16).to_le_bytes()),
            Dtype::F16 => bytes.extend(half::f16::from_f32(value).to_le_bytes()),
            _ => {
                let from = bytes.len();
                while bytes.len() < from + row.bytes_per_block as usize {
                    bytes.extend(if what == "all zero" { 0 } else { noise.next() }.to_le_bytes());
                }
                bytes.truncate(from + row.bytes_per_block as usize);
                if dtype.is_block_quant() {
                    tame(dtype, &mut bytes[from..]);
                }
            }
        }
    }
    bytes
}

/// Gives a block of random bits the scales of real ones: f16 of about 0.01.
fn tame(dtype: Dtype, block: &mut [u8]) {
    let scale = half::f16::from_f32(0.01).to_le_bytes();
    let places: &[usize] = match dtype {
        Dtype::Q4_1 | Dtype::Q5_1 | Dtype::Q8_1 | Dtype::Q4_K | Dtype::Q5_K => &[0, 2],
        Dtype::Q2_K => &[80, 82],
        Dtype::Q3_K => &[108],
        Dtype::Q6_K => &[208],
        Dtype::TQ1_0 => &[52],
        Dtype::TQ2_0 => &[64],
        Dtype::Q8_K | Dtype::MXFP4 | Dtype::NVFP4 | Dtype::IQ1_M => &[],
        _ => &[0],
    };
    if dtype == Dtype::Q8_K {
        block[..4].copy_from_slice(&0.01f32.to_le_bytes());
    }
    for place in places {
        block[*place..place + 2].copy_from_slice(&scale);
    }
}

fn write(path: &Path, piece: &[u8], pieces: u64) {
    let mut file = std::fs::File::create(path).unwrap();
    for _ in 0..pieces {
        file.write_all(piece).unwrap();
    }
}

/// Seconds to sum the file as u64.
fn limit(path: &Path, threads: usize) -> f64 {
    let begun = Instant::now();
    let file = MappedFile::new(FileSource::open(path).unwrap());
    let len = file.opened_identity().len;
    let next = AtomicU64::new(0);
    let total = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1 << 20, Ordering::Relaxed);
                    if at >= len {
                        break;
                    }
                    let size = (len - at).min(1 << 20);
                    let window = file.window(at, size).unwrap();
                    let bytes = window.bytes(at, size).unwrap();
                    let mut lanes = [0u64; 16];
                    for chunk in bytes.as_chunks::<128>().0 {
                        for (lane, word) in lanes.iter_mut().zip(chunk.as_chunks::<8>().0) {
                            *lane = lane.wrapping_add(u64::from_le_bytes(*word));
                        }
                    }
                    total.fetch_add(lanes.iter().fold(0, |a, b| a.wrapping_add(*b)), Ordering::Relaxed);
                }
            });
        }
    });
    std::hint::black_box(total.into_inner());
    begun.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let Some(at) = args.iter().position(|arg| arg == "--limit") {
        println!("{:.3} s", limit(Path::new(&args[at + 1]), 2));
        return;
    }
    let settings = settings();
    let dir = tempfile::tempdir().expect("a folder for test files");
    let path = dir.path().join("bench.bin");
    println!(
        "Base statistics in one pass, {} MiB a row in the page cache, {} threads, {:?}, {:?}, median of {} turns.\n",
        settings.mib, settings.threads, settings.io, settings.simd, settings.turns
    );
    println!("| dtype | data | GB/s | limit GB/s | of the limit | best of best | G elements/s |");
    println!("| --- | --- | --: | --: | --: | --: | --: |");
    let wide = [Dtype::F64, Dtype::F32, Dtype::F16, Dtype::BF16, Dtype::C64];
    let weights = |dtype: Dtype| wide.contains(&dtype) || quantized::can(dtype);
    let plain = Dtype::ALL.iter().map(|dtype| (*dtype, if weights(*dtype) { "weights" } else { "random" }));
    let worst = ["NaN in every 16 KiB", "all -Inf", "squares subnormal", "squares overflow", "mean 1, spread 0.02", "all zero"];
    let hard = [Dtype::F32, Dtype::F16, Dtype::BF16]
        .into_iter()
        .flat_map(|dtype| worst.iter().map(move |what| (dtype, *what)))
        .filter(|(dtype, what)| *dtype != Dtype::F16 || !what.starts_with("squares"));
    let random = Dtype::ALL.iter().filter(|dtype| quantized::can(**dtype)).map(|dtype| (*dtype, "random"));
    let zeros = [Dtype::I8, Dtype::F8_E4M3].into_iter().map(|dtype| (dtype, "all zero"));
    for (dtype, what) in plain.chain(hard).chain(zeros).chain(random) {
        let name = dtype.name().unwrap_or_default();
        if !has_kernel(dtype) || !(settings.only.is_empty() || settings.only.iter().any(|only| only == name)) {
            continue;
        }
        let piece = data(dtype, what);
        let row = dtype.info().unwrap();
        let leaf = LEAF_ELEMENTS / row.elements_per_block * row.bytes_per_block;
        let piece = &piece[..piece.len() as u64 as usize / leaf as usize * leaf as usize];
        let pieces = (settings.mib << 20) / piece.len() as u64;
        write(&path, piece, pieces);
        let bytes = piece.len() as u64 * pieces;
        let elements = bytes / row.bytes_per_block * row.elements_per_block;
        let files = [ScanFile {
            path: path.clone(),
            identity: None,
            tensors: vec![ScanTensor { dtype, offset: 0, bytes, elements, slices: 1 }],
        }];
        let options = ScanOptions { io: settings.io, threads: Some(settings.threads), part: None, simd: settings.simd };
        let (mut limits, mut scans, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for turn in 0..=settings.turns {
            let limit = limit(&path, settings.threads);
            let begun = Instant::now();
            let outcome = scan(&files, &options, &Silent).unwrap();
            let seconds = begun.elapsed().as_secs_f64();
            assert!(outcome.complete);
            let std = outcome.files[0].tensors[0].stats.as_ref().and_then(|stats| stats.std());
            assert!(
                what != "weights" || !quantized::can(dtype) || std.is_some_and(|std| (std / 0.02 - 1.0).abs() < 0.01),
                "{std:?}"
            );
            if turn > 0 {
                limits.push(bytes as f64 / limit / 1e9);
                scans.push(bytes as f64 / seconds / 1e9);
                ratios.push(limit / seconds);
            }
        }
        let best = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
        let at_best = best(&scans) / best(&limits);
        let (scanned, limit) = (median(scans), median(limits));
        let giga = scanned / row.bytes_per_block as f64 * row.elements_per_block as f64;
        println!("| {name} | {what} | {scanned:.1} | {limit:.1} | {:.2} | {at_best:.2} | {giga:.1} |", median(ratios));
    }
}

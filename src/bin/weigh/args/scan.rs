//! What `weigh scan` and `weigh merge` are told.

use std::path::PathBuf;

use clap::ValueEnum;
use weighbridge::scan::full::CastTarget;
use weighbridge::scan::{Io, Part, Simd};

use super::choice;

/// Which statistics are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StatsMode {
    /// Counts, extremes, moments
    Base,
    /// Also where zeros lie, N:M patterns, quantiles, lossless size, equal tensors: a second read
    Full,
}

/// `weigh scan`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  weigh scan model.safetensors\n  weigh scan ./repo --tensors --filter '*.norm.*' --format csv\n  \
                        weigh scan pruned.safetensors --stats full        is it 2:4, and beyond chance?\n  \
                        weigh scan model.safetensors --cast f16           what a cast would lose\n  \
                        weigh scan big --part 1/2 -o 1.json; weigh scan big --part 2/2 -o 2.json; weigh merge 1.json 2.json"
)]
pub(crate) struct ScanArgs {
    /// What to scan
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
    /// Which statistics
    #[arg(long, value_enum, default_value = "base")]
    pub(crate) stats: StatsMode,
    /// Say what a cast to this type would lose (takes --stats full with it)
    #[arg(long, value_parser = choice::<CastTarget>(), value_name = "DTYPE", ignore_case = true)]
    pub(crate) cast: Option<CastTarget>,
    /// List every tensor
    #[arg(long)]
    pub(crate) tensors: bool,
    /// Scan the tensors whose names fit: `*` is any text, `?` one character
    #[arg(long, value_name = "GLOB")]
    pub(crate) filter: Option<String>,
    /// How weights are read
    #[arg(long, value_parser = choice::<Io>(), default_value = "auto")]
    pub(crate) io: Io,
    /// Threads; all cores when absent, at most 256 or as many as there are cores
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) threads: Option<u64>,
    /// Scan part I of N (from 1) and write a JSON part for `weigh merge`
    #[arg(long, value_name = "I/N", value_parser = parse_part)]
    pub(crate) part: Option<Part>,
    /// Instructions the kernels use (for comparing; the digits are the same)
    #[arg(long, value_parser = choice::<Simd>(), default_value = "auto", hide = true)]
    pub(crate) simd: Simd,
    /// A shard stands for itself, not for its set
    #[arg(long)]
    pub(crate) only_this_file: bool,
}

fn parse_part(text: &str) -> Result<Part, String> {
    let parts = text.split_once('/').and_then(|(i, n)| Some((i.parse::<u32>().ok()?, n.parse::<u32>().ok()?)));
    match parts {
        Some((i, n)) if i >= 1 && i <= n && n <= 65_536 => Ok(Part { index: i, count: n }),
        _ => Err("write I/N with 1 <= I <= N <= 65536, as 2/7".to_owned()),
    }
}

/// `weigh merge`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  weigh merge part-1.json part-2.json part-3.json")]
pub(crate) struct MergeArgs {
    /// The checkpoint that was scanned, where it is not where the parts say
    #[arg(long, value_name = "PATH")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// Files written by `weigh scan --part`
    #[arg(value_name = "PART", required = true)]
    pub(crate) parts: Vec<PathBuf>,
}

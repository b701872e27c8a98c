//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// Puts a model checkpoint on the scales: what safetensors and GGUF files hold, what they weigh, what they would weigh.
///
/// PATH is a .safetensors or .gguf file, a shard or shard index (stands for its whole set), a repo folder, or a hub cache folder.
/// Nothing is fetched, no code of a repo is run, no pickle is loaded.
#[derive(Debug, Parser)]
#[command(
    name = "weigh",
    version,
    args_conflicts_with_subcommands = true,
    arg_required_else_help = true,
    after_help = "Examples:\n  weigh model.safetensors              the whole report\n  weigh show ./repo --by layer         headers only\n  \
                  weigh scan model.gguf --tensors      what every value tells\n  weigh ./repo --format json -o out.json\n\n\
                  Exit codes: 0 done; 1 findings, or a budget is exceeded; 2 what was asked could not be done; 130 interrupted."
)]
pub(crate) struct Args {
    /// A command; without one, the whole report of PATH.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// The whole report.
    #[command(flatten)]
    pub(crate) report: ReportArgs,
    /// How to put it out.
    #[command(flatten)]
    pub(crate) common: Common,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// What the headers say: dtypes, roles, files, architecture
    Show(ShowArgs),
    /// Read every weight: zeros, NaN, Inf, ranges, spread
    Scan(ScanArgs),
    /// Put parts of a scan together
    Merge(MergeArgs),
}

/// The whole report.
#[derive(Debug, clap::Args)]
pub(crate) struct ReportArgs {
    /// What to weigh
    #[arg(value_name = "PATH")]
    pub(crate) path: Option<PathBuf>,
    /// Leave out the scan of the values
    #[arg(long)]
    pub(crate) no_scan: bool,
    /// A shard stands for itself, not for its set
    #[arg(long)]
    pub(crate) only_this_file: bool,
}

/// How rows are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GroupBy {
    /// Element types
    Dtype,
    /// What tensors are for
    Role,
    /// Blocks
    Layer,
    /// Files
    File,
}

/// `weigh show`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  weigh show model.gguf\n  weigh show ./repo --tensors --filter '*.mlp.*'\n  weigh show model.safetensors --map --format json"
)]
pub(crate) struct ShowArgs {
    /// What to look at
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
    /// List every tensor
    #[arg(long)]
    pub(crate) tensors: bool,
    /// Show one grouping only
    #[arg(long, value_enum, value_name = "GROUP")]
    pub(crate) by: Option<GroupBy>,
    /// List the tensors whose names fit: `*` is any text, `?` one character
    #[arg(long, value_name = "GLOB")]
    pub(crate) filter: Option<String>,
    /// List the metadata of the files
    #[arg(long)]
    pub(crate) metadata: bool,
    /// List what every byte of the files is
    #[arg(long)]
    pub(crate) map: bool,
    /// A shard stands for itself, not for its set
    #[arg(long)]
    pub(crate) only_this_file: bool,
}

/// How weights are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum IoMode {
    /// Maps for local files, reads for network file systems
    Auto,
    /// Memory maps
    Mmap,
    /// Positioned reads
    Read,
}

/// Which statistics are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StatsMode {
    /// Counts, extremes, moments
    Base,
}

/// Which instructions the kernels use; the digits are the same with all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SimdMode {
    /// The best this processor has
    Auto,
    /// Plain code
    Portable,
    /// AVX2
    Avx2,
    /// AVX-512
    Avx512,
}

/// `weigh scan`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  weigh scan model.safetensors\n  weigh scan ./repo --tensors --filter '*.norm.*' --format csv\n  \
                        weigh scan big --part 1/2 -o 1.json; weigh scan big --part 2/2 -o 2.json; weigh merge 1.json 2.json"
)]
pub(crate) struct ScanArgs {
    /// What to scan
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
    /// Which statistics
    #[arg(long, value_enum, default_value = "base")]
    pub(crate) stats: StatsMode,
    /// List every tensor
    #[arg(long)]
    pub(crate) tensors: bool,
    /// Scan the tensors whose names fit: `*` is any text, `?` one character
    #[arg(long, value_name = "GLOB")]
    pub(crate) filter: Option<String>,
    /// How weights are read
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) io: IoMode,
    /// Threads; all cores when absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Scan part I of N (from 1) and write a JSON part for `weigh merge`
    #[arg(long, value_name = "I/N", value_parser = parse_part)]
    pub(crate) part: Option<(u32, u32)>,
    /// Instructions the kernels use (for comparing; the digits are the same)
    #[arg(long, value_enum, default_value = "auto", hide = true)]
    pub(crate) simd: SimdMode,
    /// A shard stands for itself, not for its set
    #[arg(long)]
    pub(crate) only_this_file: bool,
}

fn parse_part(text: &str) -> Result<(u32, u32), String> {
    let parts = text.split_once('/').and_then(|(i, n)| Some((i.parse::<u32>().ok()?, n.parse::<u32>().ok()?)));
    match parts {
        Some((i, n)) if i >= 1 && i <= n && n <= 65_536 => Ok((i, n)),
        _ => Err("write I/N with 1 <= I <= N <= 65536, as 2/7".to_owned()),
    }
}

/// `weigh merge`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  weigh merge part-1.json part-2.json part-3.json")]
pub(crate) struct MergeArgs {
    /// Files written by `weigh scan --part`
    #[arg(value_name = "PART", required = true)]
    pub(crate) parts: Vec<PathBuf>,
}

/// Output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For reading
    Text,
    /// For programs, with every figure
    Json,
    /// The tables, exact figures
    Csv,
    /// For pasting
    Markdown,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What every command takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Common {
    /// Output format
    #[arg(long, value_enum, default_value = "text", global = true)]
    pub(crate) format: Format,
    /// Write to a file instead of stdout
    #[arg(short, long, value_name = "FILE", global = true)]
    pub(crate) output: Option<PathBuf>,
    /// No progress bar
    #[arg(long, global = true)]
    pub(crate) no_progress: bool,
    /// When to use colours
    #[arg(long, value_enum, default_value = "auto", global = true)]
    pub(crate) color: Color,
    /// Exact bytes in text
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
}

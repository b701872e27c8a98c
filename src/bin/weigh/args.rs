//! The command line.

mod ls;
mod scan;

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Parser, Subcommand, ValueEnum};
use weighbridge::choice::Choice;
use weighbridge::project::memory::ENGINES;
use weighbridge::project::memory::{LoadMode, Recompute};
use weighbridge::report::sections::Grouping;
use weighbridge::report::text::WIDEST;

pub(crate) use ls::LsArgs;
pub(crate) use scan::{MergeArgs, ScanArgs, StatsMode};

/// Reads one of the names that the library has for a value, and lists them in the help.
fn choice<T: Choice + Send + Sync>() -> impl TypedValueParser<Value = T> {
    let listed = T::NAMES.iter().map(|&(name, _, about)| PossibleValue::new(name).help(about).hide(about.is_empty()));
    PossibleValuesParser::new(listed).try_map(|name| T::parse_name(&name))
}

/// Puts a model checkpoint on the scales: what safetensors and GGUF files hold, what they weigh, what they would weigh.
///
/// PATH is a .safetensors or .gguf file, a shard or shard index (stands for its whole set), a repo folder, a hub cache folder, or a name:
/// ORG/NAME[@REV][:FILE or quant] in the hub cache or LM Studio, NAME:TAG or ollama:NAME in Ollama, hf:ORG/NAME, lms:PUB/MODEL.
/// Nothing is fetched, no code of a repo is run, no pickle is loaded.
#[derive(Debug, Parser)]
#[command(
    name = "weigh",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    arg_required_else_help = true,
    max_term_width = WIDEST,
    after_help = "Examples:\n  weigh model.safetensors              the whole report\n  weigh show ./repo --by layer         headers only\n  \
                  weigh show Qwen/Qwen3-0.6B           by its name in the hub cache\n  weigh ls                             every model on this machine\n  \
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
    #[command(flatten, next_help_heading = "Output")]
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
    /// What it would weigh quantized, pruned or sharded
    Project(ProjectArgs),
    /// What it takes to run and to train
    Memory(MemoryArgs),
    /// What is wrong with it, before it is loaded
    Audit(AuditArgs),
    /// Two checkpoints side by side, by their headers
    Diff(DiffArgs),
    /// Every model on this machine, or in folders
    Ls(LsArgs),
}

/// `weigh diff`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  weigh diff model-bf16.safetensors model-int8.safetensors\n  weigh diff ./repo ./repo-gptq --tensors\n  \
                  weigh diff ./repo model-q4_k_m.gguf --format json"
)]
pub(crate) struct DiffArgs {
    /// The one
    #[arg(value_name = "A")]
    pub(crate) a: PathBuf,
    /// The other
    #[arg(value_name = "B")]
    pub(crate) b: PathBuf,
    /// List every tensor, those that are alike too
    #[arg(long)]
    pub(crate) tensors: bool,
    /// A shard stands for itself, not for its set
    #[arg(long)]
    pub(crate) only_this_file: bool,
}

/// The whole report.
#[derive(Debug, clap::Args)]
pub(crate) struct ReportArgs {
    /// What to weigh
    #[arg(value_name = "PATH", required = true)]
    pub(crate) path: Option<PathBuf>,
    /// Leave out the scan of the values
    #[arg(long)]
    pub(crate) no_scan: bool,
    /// Does it fit: 24GiB (each device), 2x24GiB, this (machine); exit 1 on no, 2 on unknown
    #[arg(long, value_name = "BUDGET,...")]
    pub(crate) fit: Option<String>,
    /// A shard stands for itself, not for its set
    #[arg(long)]
    pub(crate) only_this_file: bool,
}

/// `weigh show`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  weigh show model.gguf\n  weigh show Qwen/Qwen3-0.6B\n  weigh show ollama:llama3.2\n  weigh show ./repo --tensors --filter '*.mlp.*'\n  weigh show model.safetensors --map --format json"
)]
pub(crate) struct ShowArgs {
    /// What to look at
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
    /// List every tensor
    #[arg(long)]
    pub(crate) tensors: bool,
    /// Show one grouping only
    #[arg(long, value_parser = choice::<Grouping>(), value_name = "GROUP")]
    pub(crate) by: Option<Grouping>,
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

/// `weigh project`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  weigh project ./repo --to int8,fp8,q8_0\n  weigh project model.gguf --to all\n  \
                        weigh project model.safetensors --prune 0.5,2:4 --shard huggingface:5GB\n  \
                        weigh project model.safetensors --prune 0.5,0.7 --scan\n  \
                        weigh project ./repo --prune layers=8,ffn=25%,student=layers:12,hidden:768 --to int8\n  \
                        weigh project --data 1000000x10000 --sparsity 0.9 --dtype F32")]
pub(crate) struct ProjectArgs {
    /// What to project; without one, a training set (--data)
    #[arg(value_name = "PATH", required_unless_present = "data")]
    pub(crate) path: Option<PathBuf>,
    /// Schemes, or `all`: int8, fp8, bf16, q8_0, q4_k_m, gguf:f16, ...
    #[arg(long, value_name = "SCHEME,...")]
    pub(crate) to: Option<String>,
    /// llama-quantize is given an importance matrix
    #[arg(long)]
    pub(crate) imatrix: bool,
    /// llama-quantize --pure: one type for all
    #[arg(long)]
    pub(crate) pure: bool,
    /// llama-quantize --output-tensor-type
    #[arg(long, value_name = "T")]
    pub(crate) output_type: Option<String>,
    /// llama-quantize --token-embedding-type
    #[arg(long, value_name = "T")]
    pub(crate) embedding_type: Option<String>,
    /// Outtype of the Hugging Face converter that llama-quantize starts from: f32, f16, bf16, q8_0, auto, ...
    #[arg(long, value_name = "T")]
    pub(crate) outtype: Option<String>,
    /// Weights per scale of safetensors schemes: gptq, awq, int4 of compressed-tensors, mlx, ...
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=65536))]
    pub(crate) group: Option<u64>,
    /// Safetensors schemes quantize the output head too; one tied to the embedding becomes a tensor of its own
    #[arg(long)]
    pub(crate) quantize_head: bool,
    /// Safetensors schemes quantize the input embedding too
    #[arg(long)]
    pub(crate) quantize_embedding: bool,
    /// Name of the pre-tokenizer that the converter writes: llama-bpe, qwen2, ...
    #[arg(long, value_name = "NAME")]
    pub(crate) pre: Option<String>,
    /// Zeros (0.5, 2:4, 1:4, block=16x16:0.7, measured) or cuts (layers=8, heads=4, ffn=25%, hidden=2048, several joined by +,
    /// student=layers:12,hidden:768); counts remain, shares go
    #[arg(long, value_name = "SPEC,...")]
    pub(crate) prune: Option<String>,
    /// Read the weights: the thresholds that shares of zeros mean, and how unevenly they thin the matrices
    #[arg(long, requires = "prune")]
    pub(crate) scan: bool,
    /// Splits: huggingface, transformers, mlx, gguf-split, each with a size if wanted
    #[arg(long, value_name = "RULE:SIZE,...")]
    pub(crate) shard: Option<String>,
    /// Mark the schemes whose files fit: 8GiB, 2x24GiB, or this (the memory of this machine)
    #[arg(long, value_name = "BUDGET")]
    pub(crate) fit: Option<String>,
    /// Why a tensor has its type under every target
    #[arg(long, value_name = "TENSOR")]
    pub(crate) explain: Option<String>,
    /// A training set of so many rows and columns
    #[arg(long, value_name = "ROWSxCOLUMNS", conflicts_with = "path", requires = "sparsity")]
    pub(crate) data: Option<String>,
    /// Share of zeros in the training set
    #[arg(long, value_name = "S", requires = "data")]
    pub(crate) sparsity: Option<f64>,
    /// Element type of the training set
    #[arg(long, value_name = "T", default_value = "F32", requires = "data")]
    pub(crate) dtype: String,
    /// A shard stands for itself, not for its set
    #[arg(long)]
    pub(crate) only_this_file: bool,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnOff {
    /// On
    On,
    /// Off
    Off,
}

/// Help of `--engine`.
fn engines() -> String {
    let names: Vec<&str> = ENGINES.iter().map(|engine| engine.name()).collect();
    format!("Engines: {}", names.join(", "))
}

/// `weigh memory`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  weigh memory model.gguf --ctx 32k --kv-type q8_0\n  weigh memory ollama:llama3.2\n  weigh memory ./repo --engine vllm --seqs 16\n  \
                        weigh memory model.gguf --fit 8GiB,2x24GiB,this\n  weigh memory moe.gguf --cpu-experts 48 --fit 24GiB --ram 64GiB\n  \
                        weigh memory ./repo --tp 8 --seqs 32\n  weigh memory ./repo --train adam-mixed-18 --zero 3 --dp 8 --seq 8k --fit 80GiB\n\n\
                        --ctx is llama.cpp's total over all sequences (its -c), and per sequence for vLLM and transformers.\n\
                        --fit: tight lies between the low and the high figure and exits 0; unknown: weights or a cache are not known."
)]
pub(crate) struct MemoryArgs {
    /// What to run or to train
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
    #[arg(long, value_name = "NAME,...", help = engines())]
    pub(crate) engine: Option<String>,
    /// Context in tokens; 8k is 8192
    #[arg(long, value_name = "N")]
    pub(crate) ctx: Option<String>,
    /// Sequences at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seqs: Option<u64>,
    /// Type of the KV cache: f16, q8_0, fp8, or one for keys and one for values; f16 where the checkpoint asks for no other
    #[arg(long, value_name = "K[/V]")]
    pub(crate) kv_type: Option<String>,
    /// Logical batch in tokens
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) batch: Option<u64>,
    /// Physical batch in tokens
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) ubatch: Option<u64>,
    /// Flash attention
    #[arg(long, value_enum, value_name = "ON|OFF")]
    pub(crate) flash_attention: Option<OnOff>,
    /// llama.cpp: one cache shared by all sequences
    #[arg(long)]
    pub(crate) kv_unified: bool,
    /// llama.cpp: windowed layers keep every token
    #[arg(long)]
    pub(crate) swa_full: bool,
    /// llama.cpp: as its server, not its completion program
    #[arg(long)]
    pub(crate) server: bool,
    /// llama.cpp: weights are not repacked for the processor
    #[arg(long)]
    pub(crate) no_repack: bool,
    /// llama.cpp: how weights are loaded
    #[arg(long, value_parser = choice::<LoadMode>(), value_name = "MMAP|NONE")]
    pub(crate) load_mode: Option<LoadMode>,
    /// llama.cpp: routed experts of the first N layers stay in host memory
    #[arg(long, value_name = "N")]
    pub(crate) cpu_experts: Option<u64>,
    /// Tensor parallel ranks, which share every layer
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub(crate) tp: Option<u64>,
    /// Pipeline stages, which hold a run of layers each
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub(crate) pp: Option<u64>,
    /// Expert parallel ranks, which share the routed experts
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub(crate) ep: Option<u64>,
    /// Data parallel replicas
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=65536))]
    pub(crate) dp: Option<u64>,
    /// Training: adam, adam-mixed-16|18|20, adam-fp32, adam-bf16, adam-8bit, adafactor, sgd, sgd-momentum, lora-RANK, qlora-RANK, distill
    #[arg(long, value_name = "RECIPE")]
    pub(crate) train: Option<String>,
    /// Training: ZeRO stage; 3 is what FSDP does
    #[arg(long, value_name = "STAGE", requires = "train", value_parser = clap::value_parser!(u8).range(0..=3))]
    pub(crate) zero: Option<u8>,
    /// Training: tokens of a sequence; 4096 when absent
    #[arg(long, value_name = "N", requires = "train")]
    pub(crate) seq: Option<String>,
    /// Training: sequences of a micro-batch on each device
    #[arg(long, value_name = "N", requires = "train", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) micro_batch: Option<u64>,
    /// Training: what is computed again instead of being kept
    #[arg(long, value_parser = choice::<Recompute>(), value_name = "WHAT", requires = "train")]
    pub(crate) recompute: Option<Recompute>,
    /// Does it fit: 24GiB (each device), 2x24GiB, this (machine); with --train, does training fit; exit 1 on no, 2 on unknown
    #[arg(long, value_name = "BUDGET,...")]
    pub(crate) fit: Option<String>,
    /// Share of a device that vLLM may take; 0.92 when absent, as in 0.33 (0.9 in older versions)
    #[arg(long, value_name = "F", requires = "fit")]
    pub(crate) gpu_utilization: Option<String>,
    /// Memory of a device that is to be set aside; 1GiB for llama.cpp when absent, as its own --fit has it
    #[arg(long, value_name = "SIZE", requires = "fit")]
    pub(crate) reserve: Option<String>,
    /// Memory of the host beside the devices; that of this machine when absent
    #[arg(long, value_name = "SIZE", requires = "fit")]
    pub(crate) ram: Option<String>,
    /// Show every formula with this model's figures
    #[arg(long)]
    pub(crate) explain: bool,
    /// A shard stands for itself, not for its set
    #[arg(long)]
    pub(crate) only_this_file: bool,
}

/// `weigh audit`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  weigh audit ./repo\n  weigh audit ./repo --deny warning --allow pickle --format sarif -o audit.sarif\n  \
                        weigh audit models/one --sarif-root . --format sarif -o audit.sarif\n  \
                        weigh audit model.gguf --scan --max-size 8GiB --max-ram 12GiB --ctx 8k\n  weigh audit --explain truncated\n\n\
                        Exit codes: 0 nothing at or above the threshold (error, unless --deny lowers it); 1 findings; 2 something could not be read, or --max-ram not judged.\n\
                        A policy is JSON: {\"deny\": [..], \"allow\": [..], \"max_size\": \"10GiB\", \"max_params\": \"8B\", \"max_ram\": \"24GiB\", \"ctx\": 8192}"
)]
pub(crate) struct AuditArgs {
    /// What to look at
    #[arg(value_name = "PATH", required_unless_present = "explain")]
    pub(crate) path: Option<PathBuf>,
    /// Read every value too: NaN, Inf, matrices of zeros or of one value, dead experts, broken scales, range of F16
    #[arg(long)]
    pub(crate) scan: bool,
    /// Hash the files whose hash a hub cache or a manifest states
    #[arg(long)]
    pub(crate) verify_hashes: bool,
    /// Fail at a code, or at findings of a severity (error, warning, note) and above
    #[arg(long, value_name = "CODE|SEVERITY")]
    pub(crate) deny: Vec<String>,
    /// Leave a code out
    #[arg(long, value_name = "CODE")]
    pub(crate) allow: Vec<String>,
    /// Read deny, allow and budgets from a JSON file
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// Most bytes of the selected files
    #[arg(long, value_name = "SIZE")]
    pub(crate) max_size: Option<String>,
    /// Most parameters
    #[arg(long, value_name = "N")]
    pub(crate) max_params: Option<String>,
    /// Most memory to run it
    #[arg(long, value_name = "SIZE")]
    pub(crate) max_ram: Option<String>,
    /// Context in tokens that --max-ram is about
    #[arg(long, value_name = "N", requires = "max_ram")]
    pub(crate) ctx: Option<String>,
    /// SARIF: the folder of the checkout, which paths are then relative to; the audited folder when absent
    #[arg(long, value_name = "DIR")]
    pub(crate) sarif_root: Option<PathBuf>,
    /// Say what a code means; `all` lists the codes
    #[arg(long, value_name = "CODE")]
    pub(crate) explain: Option<String>,
    /// A shard stands for itself, not for its set
    #[arg(long)]
    pub(crate) only_this_file: bool,
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
    /// For code hosts (audit only)
    Sarif,
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
    /// Look for names in this store only: hub, lm-studio, ollama, llama.cpp
    #[arg(long, value_name = "NAME", global = true)]
    pub(crate) store: Option<String>,
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

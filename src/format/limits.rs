//! Every bound in one place, with its source. A bound that is reached gives [`crate::error::ErrorKind::Limit`] and says which.

/// Longest safetensors header: the reference reader's `MAX_HEADER_SIZE` (safetensors ([`crate::pins::SAFETENSORS`])).
pub const MAX_SAFETENSORS_HEADER: u64 = 100_000_000;

/// Most tensors read of one file. Twenty times the largest published shard set (DeepSeek-V3: 91,991 in 163 files); keeps the
/// table of tensors within 256 MiB.
pub const MAX_TENSORS: u64 = 2_000_000;

/// Most GGUF keys: huggingface.js stops at 100,000; ten times that is still read in well under a second.
pub const MAX_KEYS: u64 = 1_000_000;

/// Most dimensions of one tensor. numpy has 64 since 2.0; ggml has 4; no published tensor has more than 8.
pub const MAX_DIMS: usize = 64;

/// Longest string of a GGUF file: ggml's own bound (2^30), checked against the bytes left in the file before anything is read.
pub const MAX_GGUF_STRING: u64 = 1 << 30;

/// Longest tensor name that is kept. ggml allows 63 bytes; safetensors states no bound. Longer ones are refused, as the names
/// of a file are held in memory.
pub const MAX_NAME: u64 = 1 << 20;

/// Bytes of all tensor names of one file: no more than the longest safetensors header has room for.
pub const MAX_NAMES: usize = 100_000_000;

/// Bytes of all GGUF keys of one file, which are held: a million of usual length take half of it.
pub const MAX_KEY_BYTES: u64 = 64 << 20;

/// Bytes of the headers of all files of a checkpoint, those of GGUF files reckoned from their counts: twice what the 497,000 tensors of the
/// largest published index (Kimi-K3) take.
pub const MAX_HEADERS: u64 = 128 << 20;

/// Longest metadata text that is kept; longer text is cut and said to be. Chat templates reach some 20 KiB.
pub const MAX_KEPT_TEXT: usize = 64 * 1024;

/// Longest chat template that is kept, which is metadata under a key of that name.
pub const MAX_KEPT_TEMPLATE: usize = 1 << 20;

/// All metadata text that is kept of one file.
pub const MAX_KEPT_METADATA: usize = 16 << 20;

/// Longest numeric GGUF array whose values are kept (per-layer head counts); token arrays are described, not kept.
pub const MAX_KEPT_ARRAY: u64 = 4096;

/// Numbers of all such arrays of one file that are kept.
pub const MAX_KEPT_NUMBERS: u64 = 2 << 20;

/// Largest GGUF alignment: 64 KiB is the largest page size in use; ggml accepts any power of two.
pub const MAX_ALIGNMENT: u64 = 1 << 20;

/// Nesting depth of JSON in headers; the reference reader's parser (serde_json) stops at 128, no valid header exceeds 3.
pub const MAX_JSON_DEPTH: usize = 64;

/// Nesting depth of config.json and its like: what serde_json reads of other JSON. Python stops at some 1,000 levels, and no
/// published configuration exceeds 10.
pub const MAX_CONFIG_DEPTH: usize = 128;

/// Defects kept of one file; further ones are counted.
pub const MAX_DEFECTS: usize = 1000;

/// Unknown dtype spellings kept of one file.
pub const MAX_UNKNOWN_DTYPES: usize = 1000;

/// Bytes of an unknown dtype's spelling that are kept; every known one has at most 12.
pub const MAX_DTYPE_SPELLING: usize = 128;

/// Longest tensor name with which a quantization is projected: a scheme makes several names of each tensor's. ggml allows 63 bytes,
/// published names have at most some 150.
pub const MAX_PROJECTED_NAME: u64 = 4096;

/// Bytes of config.json and its like that are read: the largest published ones (with per-module quantization tables) have some
/// 2 MB.
pub const MAX_CONFIG: u64 = 16 << 20;

/// Memory for the tree of one such file, which can be a hundred times its text. A table of 30,000 quantized modules with four settings
/// each takes 31 MiB, and 200,000 values of the usual kind as much; the 6,415 added tokens in Gemma 3's tokenizer_config.json take 6.
pub const MAX_JSON_TREE: u64 = 32 << 20;

/// Memory for the trees of the configurations that opening a checkpoint reads: config.json and quantize_config.json.
pub const MAX_CONFIG_TREES: u64 = 48 << 20;

/// Memory for what the audit keeps of all the configurations, templates and model cards of a folder; those of published ones have a
/// few MB together.
pub const MAX_AUDITED_TEXTS: u64 = 64 << 20;

/// Memory for the trees of all the small JSON files that a conversion to GGUF goes by.
pub const MAX_FOLDER_TREES: u64 = 48 << 20;

/// Memory for the tokens that a conversion to GGUF goes by: the 901,629 of XLM-V, the largest published vocabulary, take 65 MiB.
pub const MAX_FOLDER_WORDS: u64 = 80 << 20;

/// Bytes of a vocab.txt, merges.txt or tokenizer.model: 262,144 SentencePiece pieces (Gemma) take 5 MB, 200,000 merges 3 MB.
pub const MAX_WORDS: u64 = 32 << 20;

/// Bytes of a model card's front matter: an evaluation result takes some 500 of them, so that two thousand have room.
pub const MAX_FRONT_MATTER: usize = 1 << 20;

/// Bytes of a shard index: 91,991 tensors take 9 MB.
pub const MAX_INDEX: u64 = 256 << 20;

/// Shard indexes read of one folder; a repository has one a component.
pub const MAX_INDEXES: usize = 256;

/// Bytes of a tokenizer.json: Gemma's 262,144 tokens take 33 MB.
pub const MAX_TOKENIZER: u64 = 256 << 20;

/// Window of the header reader: large enough that reads cost nothing, small beside the memory bound.
pub const HEADER_WINDOW: usize = 256 * 1024;

/// Files looked at in one folder, and how deep.
pub const MAX_FILES: usize = 100_000;
/// Bytes of the paths of those files, which are held: 100,000 of usual length take 10 MB.
pub const MAX_PATH_BYTES: usize = 32 << 20;
/// Depth of folders below the one asked for. Published repos nest 3 deep (diffusers, onnx, original); the bound only keeps the
/// stack small, as links to folders are not followed.
pub const MAX_FOLDER_DEPTH: usize = 500;

//! Training recipes: bytes per parameter of what the optimizer keeps.

use crate::error::{Error, ErrorKind, Result};

/// How the optimizer's states grow with the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum States {
    /// Bytes per parameter.
    PerParam(u64),
    /// Two 8-bit states per value with one fp32 maximum each per 256 values; tensors under 4,096 values keep two fp32 states.
    Blockwise8Bit,
    /// One fp32 value per row and one per column of each matrix; vectors keep one fp32 value each.
    Factored,
}

/// Full training with one optimizer: bytes per parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) weights: u64,
    pub(super) gradients: u64,
    /// A second copy of the gradients in fp32, beside the 16-bit ones.
    pub(super) fp32_gradients: u64,
    pub(super) master: u64,
    pub(super) states: States,
    pub(super) source: &'static str,
}

const fn row(
    name: &'static str,
    [weights, gradients, fp32_gradients, master]: [u64; 4],
    states: States,
    source: &'static str,
) -> Row {
    Row { name, weights, gradients, fp32_gradients, master, states, source }
}

/// The recipes, the first being plain `adam`.
const ROWS: &[Row] = &[
    row("adam-mixed-16", [2, 2, 0, 4], States::PerParam(8), "ZeRO paper (arXiv 1910.02054), K = 12"),
    row("adam-mixed-18", [2, 4, 0, 4], States::PerParam(8), "Megatron-LM theoretical_memory_usage.py: fp32 main gradients"),
    row("adam-mixed-20", [2, 2, 4, 4], States::PerParam(8), "DeepSpeed ZeRO estimators: 16-bit and fp32 gradients"),
    row("adam-fp32", [4, 4, 0, 0], States::PerParam(8), "torch.optim.Adam in fp32, autocast included"),
    row("adam-bf16", [2, 2, 0, 0], States::PerParam(4), "torch.optim.Adam over bf16 weights, no fp32 copy"),
    row("adam-8bit", [2, 2, 0, 0], States::Blockwise8Bit, "bitsandbytes optim/optimizer.py over bf16 weights, no fp32 copy"),
    row("adafactor", [2, 2, 0, 0], States::Factored, "transformers optimization.py, no momentum, over bf16 weights"),
    row("sgd", [4, 4, 0, 0], States::PerParam(0), "torch.optim.SGD in fp32"),
    row("sgd-momentum", [4, 4, 0, 0], States::PerParam(4), "torch.optim.SGD in fp32 with momentum"),
];

/// Other spellings.
const ALIASES: &[(&str, &str)] = &[
    ("adam", "adam-mixed-16"),
    ("adamw", "adam-mixed-16"),
    ("adam-mixed", "adam-mixed-16"),
    ("adam-16", "adam-mixed-16"),
    ("adam-18", "adam-mixed-18"),
    ("adam-20", "adam-mixed-20"),
    ("adam8bit", "adam-8bit"),
    ("distillation", "distill"),
];

/// Rank of adapters where the name has none.
const RANK: u64 = 16;

/// A way to train.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipe(pub(super) Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Full(&'static Row),
    /// Adapters of a rank over a frozen 16-bit base.
    Lora(u64),
    /// The same over a base in NF4.
    Qlora(u64),
    /// The checkpoint teaches a smaller model.
    Distill,
}

impl Recipe {
    /// Reads `adam`, `adam-8bit`, `lora`, `qlora-64`, `distill`, ...
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for an unknown recipe or a rank that is not 1 to 65,536.
    pub fn parse(text: &str) -> Result<Self> {
        let asked = text.trim().to_lowercase();
        let name = ALIASES.iter().find(|(alias, _)| *alias == asked).map_or(asked.as_str(), |(_, name)| name);
        if let Some(row) = ROWS.iter().find(|r| r.name == name) {
            return Ok(Self(Kind::Full(row)));
        }
        if name == "distill" {
            return Ok(Self(Kind::Distill));
        }
        let (kind, rank) = match name.split_once('-') {
            Some((kind, rank)) => (kind, rank.strip_prefix('r').unwrap_or(rank).parse().ok().filter(|r| (1..=65_536).contains(r))),
            None => (name, Some(RANK)),
        };
        match (kind, rank) {
            ("lora", Some(rank)) => Ok(Self(Kind::Lora(rank))),
            ("qlora", Some(rank)) => Ok(Self(Kind::Qlora(rank))),
            _ => {
                let names: Vec<&str> = ROWS.iter().map(|r| r.name).collect();
                Err(Error::new(ErrorKind::Usage, format!("unknown training recipe `{}`", crate::text::escape(text)))
                    .help(format!("known: adam (= adam-mixed-16), {}, lora-RANK, qlora-RANK, distill", names.join(", "))))
            }
        }
    }

    /// Its canonical name.
    pub fn name(self) -> String {
        match self.0 {
            Kind::Full(row) => row.name.to_owned(),
            Kind::Lora(rank) => format!("lora-{rank}"),
            Kind::Qlora(rank) => format!("qlora-{rank}"),
            Kind::Distill => "distill".to_owned(),
        }
    }
}

/// The recipe a student and adapters are trained with.
pub(super) const ADAM_MIXED: &Row = &ROWS[0];

//! Shapes of a decoder's linear layers as its configuration gives them, for packings whose own shapes leave two readings open.

use serde_json::Value;

use crate::checkpoint::config;

#[derive(Debug, Default)]
pub(super) struct Hints {
    hidden: Option<u64>,
    attention: Option<u64>,
    kv: Option<u64>,
    ffn: Option<u64>,
    expert: Option<u64>,
    experts: Option<u64>,
    vocab: Option<u64>,
}

impl Hints {
    pub(super) fn of(config: Option<&Value>) -> Self {
        let Some(config) = config else { return Self::default() };
        let model = config::from_config_json(config);
        // Heads of latent attention are no rows of its linear layers.
        let width = |heads: Option<u64>| heads?.checked_mul(model.head_dim.filter(|_| model.mla.is_none())?);
        Self {
            hidden: model.hidden_size,
            attention: width(model.heads),
            kv: width(model.kv_heads),
            ffn: model.ffn_size,
            expert: model.expert_ffn_size.or(model.ffn_size),
            experts: model.experts,
            vocab: model.vocab_size,
        }
    }

    /// Rows and columns of a linear layer, by its module's name.
    pub(super) fn shape(&self, module: &str) -> Option<[u64; 2]> {
        let pieces: [&str; 3] = {
            let mut from_end = module.rsplit('.');
            [from_end.next().unwrap_or(""), from_end.next().unwrap_or(""), from_end.next().unwrap_or("")]
        };
        // A shared expert's width is another key's; a routed one stands right under its number.
        let routed = pieces[2] == "experts";
        let ffn = match (routed, module.contains("expert")) {
            (true, _) => self.expert,
            (false, true) => None,
            (false, false) => self.ffn,
        };
        let (rows, columns) = match pieces {
            ["q_proj", ..] => (self.attention, self.hidden),
            ["k_proj" | "v_proj", ..] => (self.kv, self.hidden),
            ["o_proj", ..] => (self.hidden, self.attention),
            ["out_proj", "self_attn", _] => (self.hidden, self.attention),
            ["gate_proj" | "up_proj", ..] => (ffn, self.hidden),
            ["down_proj", ..] => (self.hidden, ffn),
            // Mixtral's experts; OPT and BERT blocks.
            ["w1" | "w3", ..] if routed => (ffn, self.hidden),
            ["w2", ..] if routed => (self.hidden, ffn),
            ["fc1", ..] => (self.ffn, self.hidden),
            ["fc2", ..] => (self.hidden, self.ffn),
            ["query" | "key" | "value", "self", _] | ["dense", "output", "attention"] => (self.hidden, self.hidden),
            ["dense", "intermediate", _] => (self.ffn, self.hidden),
            ["dense", "output", _] => (self.hidden, self.ffn),
            ["gate", "mlp" | "block_sparse_moe", _] => (self.experts, self.hidden),
            ["lm_head" | "embed_tokens", ..] => (self.vocab, self.hidden),
            _ => return None,
        };
        Some([rows?, columns?])
    }
}

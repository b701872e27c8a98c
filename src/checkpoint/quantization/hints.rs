//! Shapes of a decoder's linear layers as its configuration gives them, for packings whose own shapes leave two readings open.

use serde_json::Value;

use crate::checkpoint::model_config;

#[derive(Debug, Default)]
pub(super) struct Hints {
    hidden: Option<u64>,
    attention: Option<u64>,
    kv: Option<u64>,
    ffn: Option<u64>,
    vocab: Option<u64>,
}

impl Hints {
    pub(super) fn of(config: Option<&Value>) -> Self {
        let Some(config) = config else { return Self::default() };
        let model = model_config::from_config_json(config);
        let width = |heads: Option<u64>| heads?.checked_mul(model.head_dim?);
        Self {
            hidden: model.hidden_size,
            attention: width(model.heads),
            kv: width(model.kv_heads),
            ffn: model.ffn_size,
            vocab: model.vocab_size,
        }
    }

    /// Rows and columns of a linear layer, by the last piece of its module's name.
    pub(super) fn shape(&self, module: &str) -> Option<[u64; 2]> {
        let (rows, columns) = match module.rsplit('.').next().unwrap_or(module) {
            "q_proj" => (self.attention, self.hidden),
            "k_proj" | "v_proj" => (self.kv, self.hidden),
            "o_proj" => (self.hidden, self.attention),
            // Experts have a width of their own.
            "gate_proj" | "up_proj" if !module.contains("expert") => (self.ffn, self.hidden),
            "down_proj" if !module.contains("expert") => (self.hidden, self.ffn),
            "lm_head" | "embed_tokens" => (self.vocab, self.hidden),
            _ => return None,
        };
        Some([rows?, columns?])
    }
}

//! `build_moe_ffn`.

use super::builder::Builder;
use crate::families::graph::Gating;
use crate::project::memory::engines::llama_cpp::graph::{Id, Purpose};

/// What families differ in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Routing {
    pub(super) gating: Gating,
    /// Weights of the chosen experts sum to 1.
    pub(super) normalized: bool,
    /// `expert_weights_scale`.
    pub(super) scale: f64,
    /// Groups of experts, of which some are chosen first; 1 for none.
    pub(super) groups: u64,
    /// Groups that are chosen.
    pub(super) groups_used: u64,
    /// Inputs are weighted instead of outputs (Llama 4), and experts are chosen before the sigmoid.
    pub(super) weighted_inputs: bool,
}

impl Builder<'_> {
    /// The routing that the keys state; `gating` and `normalized` are the family's.
    pub(super) fn routing(&self, gating: Gating, normalized: bool) -> Routing {
        Routing {
            gating,
            normalized,
            scale: self.sheet.number("expert_weights_scale").unwrap_or(0.0),
            groups: self.sheet.count("expert_group_count").unwrap_or(0),
            groups_used: self.sheet.count("expert_group_used_count").unwrap_or(0),
            weighted_inputs: false,
        }
    }

    /// The experts of a layer.
    pub(super) fn experts(&mut self, layer: u64, x: Id, routing: Routing) -> Result<Id, String> {
        self.g.now(Purpose::Experts);
        let used = self.sheet.need_at("expert_used_count", layer)?;
        let tokens = self.g.ne(x)[1];
        let logits = self.linear(layer, "ffn_gate_inp", x)?;
        let all = self.g.ne(logits)[0];
        if used == 0 || used > all {
            return Err(format!("{used} experts are used of {all}"));
        }
        let probs = if routing.gating == Gating::Before { self.g.in_place(&[logits]) } else { logits };
        let mut choice = match self.maybe(layer, "exp_probs_b.bias") {
            Some(bias) => self.g.in_place(&[probs, bias]),
            None if routing.weighted_inputs => logits,
            None => probs,
        };
        if routing.groups > 1 {
            choice = self.best_groups(choice, all, tokens, routing)?;
        }
        let chosen = self.g.argsort_top_k(choice, used);
        let rows = self.g.reshape(probs, [1, all, tokens, 1]);
        let mut weights = self.g.get_rows(rows, chosen);
        if routing.gating == Gating::After {
            let flat = self.g.reshape(weights, [used, tokens, 1, 1]);
            let softmax = self.g.in_place(&[flat]);
            weights = self.g.reshape(softmax, [1, used, tokens, 1]);
        }
        if routing.normalized {
            let flat = self.g.reshape(weights, [used, tokens, 1, 1]);
            let sum = self.g.sum_rows(flat);
            let sum = self.g.in_place(&[sum]);
            let divided = self.g.in_place(&[flat, sum]);
            weights = self.g.reshape(divided, [1, used, tokens, 1]);
        }
        if routing.scale != 0.0 && routing.scale != 1.0 {
            weights = self.g.in_place(&[weights]);
        }
        self.g.expand(weights);
        let width = self.g.ne(x)[0];
        let mut x = self.g.reshape(x, [width, 1, tokens, 1]);
        if routing.weighted_inputs {
            let repeated = self.g.repeat(x, [width, used, tokens, 1]);
            x = self.g.in_place(&[repeated, weights]);
        }
        let acted = self.expert_units(layer, x, chosen)?;
        let mut out = self.expert_linear(layer, "ffn_down_exps", acted, chosen)?;
        if !routing.weighted_inputs {
            out = self.g.in_place(&[out, weights]);
        }
        self.g.expand(out);
        Ok(self.sum_experts(out, used, tokens))
    }

    /// Groups by the sum of their two best experts; the others are masked.
    fn best_groups(&mut self, choice: Id, all: u64, tokens: u64, routing: Routing) -> Result<Id, String> {
        let (groups, used) = (routing.groups, routing.groups_used);
        let each = all / groups;
        if each == 0 || each * groups != all || used == 0 || used > groups {
            return Err(format!("{all} experts in {groups} groups, of which {used} are used"));
        }
        let grouped = self.g.reshape(choice, [each, groups, tokens, 1]);
        let best = self.g.argsort_top_k(grouped, 2.min(each));
        let single = self.g.reshape(grouped, [1, each, groups, tokens]);
        let scores = self.g.get_rows(single, best);
        let ne = self.g.ne(scores);
        let scores = self.g.reshape(scores, [ne[1], ne[2], ne[3], 1]);
        let scores = self.g.sum_rows(scores);
        let ne = self.g.ne(scores);
        let scores = self.g.reshape(scores, [ne[1], ne[2], 1, 1]);
        let kept = self.g.argsort_top_k(scores, used);
        let rows = self.g.get_rows(grouped, kept);
        let filled = self.g.in_place(&[grouped]);
        let masked = self.g.set_rows(filled, rows, kept);
        Ok(self.g.reshape(masked, [all, tokens, 1, 1]))
    }

    fn expert_linear(&mut self, layer: u64, name: &str, x: Id, chosen: Id) -> Result<Id, String> {
        let weight = self.weight(layer, &format!("{name}.weight"))?;
        let mut y = self.g.mul_mat_id(weight, x, chosen);
        if let Some(scale) = self.maybe(layer, &format!("{name}.scale")) {
            let (all, tokens) = (self.g.ne(scale)[0], self.g.ne(x)[2]);
            let rows = self.g.reshape(scale, [1, all, 1, 1]);
            let repeated = self.g.repeat(rows, [1, all, tokens, 1]);
            let picked = self.g.get_rows(repeated, chosen);
            y = self.g.in_place(&[y, picked]);
        }
        if let Some(bias) = self.maybe(layer, &format!("{name}.bias")) {
            y = self.g.in_place(&[y, bias, chosen]);
        }
        Ok(y)
    }

    /// Up and gate, apart or as one product, and the gated unit.
    fn expert_units(&mut self, layer: u64, x: Id, chosen: Id) -> Result<Id, String> {
        if self.has(layer, "ffn_gate_up_exps.weight") {
            let both = self.expert_linear(layer, "ffn_gate_up_exps", x, chosen)?;
            let (mut ne, nb) = (self.g.ne(both), self.g.nb(both));
            ne[0] /= 2;
            let gate = self.g.view(both, ne, nb);
            let up = self.g.view(both, ne, nb);
            return Ok(self.g.glu(gate, Some(up)));
        }
        let up = self.expert_linear(layer, "ffn_up_exps", x, chosen)?;
        if !self.has(layer, "ffn_gate_exps.weight") {
            return Ok(self.g.in_place(&[up]));
        }
        let gate = self.expert_linear(layer, "ffn_gate_exps", x, chosen)?;
        Ok(self.g.glu(gate, Some(up)))
    }

    /// One expert after the other is added up.
    fn sum_experts(&mut self, experts: Id, used: u64, tokens: u64) -> Id {
        let (width, nb) = (self.g.ne(experts)[0], self.g.nb(experts));
        let parts: Vec<Id> = (0..used)
            .map(|_| {
                let part = self.g.view(experts, [width, tokens, 1, 1], [0, nb[2], nb[2].saturating_mul(tokens), 0]);
                self.g.expand(part);
                part
            })
            .collect();
        let mut sum = parts[0];
        for &part in &parts[1..] {
            sum = self.g.in_place(&[sum, part]);
            self.g.expand(sum);
        }
        if used == 1 { self.g.cont(sum) } else { sum }
    }
}

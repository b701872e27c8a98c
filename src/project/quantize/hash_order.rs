//! The order in which MLX writes tensors: that of a `std::unordered_map<std::string, array>` filled in module order.
//!
//! Source: GCC's libstdc++: `_Hash_bytes` of `libsupc++/hash_bytes.cc` (64 bits, seed 0xc70f6907), the insertions and rehashes of
//! `bits/hashtable.h`, the growth of `_Prime_rehash_policy`. Checked on every MLX file of `fixtures/hf`, written on Linux; another
//! standard library orders otherwise, which moves the digits of the offsets and so a few bytes of the header.

/// Bucket counts, each the first of libstdc++'s primes above twice the one before.
const BUCKETS: &[u64] =
    &[13, 29, 59, 127, 257, 541, 1109, 2357, 5087, 10273, 20753, 42043, 85229, 172933, 351061, 712697, 1447153, 2938679, 5967347];

fn hash(bytes: &[u8]) -> u64 {
    const MUL: u64 = (0xc6a4_a793 << 32) + 0x5bd1_e995;
    let mix = |v: u64| v ^ (v >> 47);
    let word = |chunk: &[u8]| chunk.iter().rev().fold(0u64, |n, &b| n << 8 | u64::from(b));
    let mut h = 0xc70f_6907 ^ (bytes.len() as u64).wrapping_mul(MUL);
    let (words, tail) = bytes.split_at(bytes.len() & !7);
    for chunk in words.chunks_exact(8) {
        h = (h ^ mix(word(chunk).wrapping_mul(MUL)).wrapping_mul(MUL)).wrapping_mul(MUL);
    }
    if !tail.is_empty() {
        h = (h ^ word(tail)).wrapping_mul(MUL);
    }
    mix(mix(h).wrapping_mul(MUL))
}

/// No node; before the first one where a bucket's predecessor is meant.
const NONE: usize = usize::MAX;

/// A list of nodes in which each bucket's are neighbours, and per bucket the node before its first.
struct Table {
    hashes: Vec<u64>,
    next: Vec<usize>,
    first: usize,
    /// `None`: an empty bucket; `Some(NONE)`: it begins the list.
    before: Vec<Option<usize>>,
}

impl Table {
    fn bucket(&self, node: usize) -> usize {
        (self.hashes[node] % self.before.len() as u64) as usize
    }

    fn after(&self, node: usize) -> usize {
        if node == NONE { self.first } else { self.next[node] }
    }

    fn link(&mut self, before: usize, node: usize) {
        self.next[node] = self.after(before);
        if before == NONE {
            self.first = node;
        } else {
            self.next[before] = node;
        }
    }

    /// At the front of its bucket, or of the list where the bucket is empty.
    fn insert(&mut self, node: usize) {
        let bucket = self.bucket(node);
        let before = self.before[bucket];
        self.link(before.unwrap_or(NONE), node);
        if before.is_none() {
            self.before[bucket] = Some(NONE);
            let second = self.next[node];
            if second != NONE {
                let bucket = self.bucket(second);
                self.before[bucket] = Some(node);
            }
        }
    }

    /// Every node anew, in the order of the list. A bucket that is met again gets the node after its first predecessor.
    fn rehash(&mut self, buckets: u64) {
        let mut node = std::mem::replace(&mut self.first, NONE);
        self.before = vec![None; buckets as usize];
        while node != NONE {
            let next = self.next[node];
            self.insert(node);
            node = next;
        }
    }
}

/// Indices of `names`, given in the order of insertion, in the order of iteration.
pub(super) fn order(names: &[&str]) -> Vec<usize> {
    let mut table = Table {
        hashes: names.iter().map(|name| hash(name.as_bytes())).collect(),
        next: vec![NONE; names.len()],
        first: NONE,
        before: Vec::new(),
    };
    let mut sizes = BUCKETS.iter().copied();
    for node in 0..names.len() {
        if node >= table.before.len()
            && let Some(buckets) = sizes.next()
        {
            table.rehash(buckets);
        }
        table.insert(node);
    }
    let mut out = Vec::with_capacity(names.len());
    let mut node = table.first;
    while node != NONE {
        out.push(node);
        node = table.next[node];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_mlx_is_in_this_order() {
        // What mlx-lm 0.32.2 wrote on Linux of a Llama with two layers.
        let block = ["q_proj", "k_proj", "v_proj", "o_proj"].map(|p| format!("self_attn.{p}"));
        let block = block.into_iter().chain(["gate_proj", "down_proj", "up_proj"].map(|p| format!("mlp.{p}")));
        let block: Vec<String> = block.chain(["input_layernorm", "post_attention_layernorm"].map(str::to_owned)).collect();
        let mut names = vec!["model.embed_tokens.weight".to_owned()];
        for layer in 0..2 {
            names.extend(block.iter().map(|part| format!("model.layers.{layer}.{part}.weight")));
        }
        names.extend(["model.norm.weight", "lm_head.weight"].map(str::to_owned));
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let ordered: Vec<&str> = order(&names).into_iter().map(|i| names[i]).collect();
        let written = [
            "lm_head",
            "model.layers.1.post_attention_layernorm",
            "model.layers.1.input_layernorm",
            "model.norm",
            "model.layers.1.mlp.up_proj",
            "model.layers.1.mlp.gate_proj",
            "model.embed_tokens",
            "model.layers.0.self_attn.q_proj",
            "model.layers.0.self_attn.k_proj",
            "model.layers.0.post_attention_layernorm",
            "model.layers.1.mlp.down_proj",
            "model.layers.1.self_attn.v_proj",
            "model.layers.0.self_attn.v_proj",
            "model.layers.0.input_layernorm",
            "model.layers.0.mlp.gate_proj",
            "model.layers.0.mlp.down_proj",
            "model.layers.1.self_attn.o_proj",
            "model.layers.0.mlp.up_proj",
            "model.layers.0.self_attn.o_proj",
            "model.layers.1.self_attn.q_proj",
            "model.layers.1.self_attn.k_proj",
        ];
        assert_eq!(ordered, written.map(|name| format!("{name}.weight")));
    }
}

//! Models over several devices, against figures published or worked out from the engines' own rules.

use serde_json::{Value, json};
use weighbridge::checkpoint::{self, Checkpoint};
use weighbridge::project::memory::{
    Budget, EngineRow, MemoryReport, MemoryRequest, Parallel, Place, Recipe, Term, TrainRequest, Verdict,
};
use weighbridge::project::{Basis, ProjectInput, memory};

/// The checkpoint that a config.json declares.
fn declared(config: &Value) -> Checkpoint {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    std::fs::write(&path, config.to_string()).unwrap();
    checkpoint::declared(&path).unwrap()
}

fn llama(hidden: u64, layers: u64, heads: u64, kv: u64, ffn: u64) -> Checkpoint {
    declared(&json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": hidden, "num_hidden_layers": layers,
        "num_attention_heads": heads, "num_key_value_heads": kv, "intermediate_size": ffn, "vocab_size": 128_256,
        "max_position_embeddings": 131_072, "tie_word_embeddings": false, "torch_dtype": "bfloat16",
    }))
}

fn llama_70b() -> Checkpoint {
    llama(8192, 80, 64, 8, 28_672)
}

fn mixtral() -> Checkpoint {
    declared(&json!({
        "architectures": ["MixtralForCausalLM"], "model_type": "mixtral", "hidden_size": 4096, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14_336, "vocab_size": 32_000,
        "num_local_experts": 8, "num_experts_per_tok": 2, "max_position_embeddings": 32_768, "tie_word_embeddings": false,
        "torch_dtype": "bfloat16",
    }))
}

fn report(checkpoint: &Checkpoint, engine: &str, ctx: u64, parallel: Parallel) -> MemoryReport {
    let asked = MemoryRequest { engines: vec![engine.to_owned()], ctx: Some(ctx), parallel, ..MemoryRequest::default() };
    memory(&ProjectInput::from_checkpoint(checkpoint), &asked)
}

fn engine(checkpoint: &Checkpoint, name: &str, ctx: u64, parallel: Parallel) -> EngineRow {
    report(checkpoint, name, ctx, parallel).engines.remove(0)
}

fn tp(tp: u64) -> Parallel {
    Parallel { tp, ..Parallel::default() }
}

fn term<'p>(place: &'p Place, name: &str) -> &'p Term {
    place.terms.iter().find(|t| t.name == name).unwrap_or_else(|| panic!("no {name}"))
}

fn low(place: &Place, name: &str) -> u64 {
    term(place, name).low.unwrap_or_else(|| panic!("{name}: {}", term(place, name).formula))
}

const GIB: f64 = (1u64 << 30) as f64;

#[test]
fn llama_70b_over_tensor_parallel_ranks() {
    // Worked from Megatron's and vLLM's rules: GiB of weights and bytes of cache a token, each rank.
    let model = llama_70b();
    let stated = [(1, "131.42", 327_680), (2, "65.71", 163_840), (4, "32.86", 81_920), (8, "16.43", 40_960), (16, "8.37", 40_960)];
    for (ranks, weights, cache) in stated {
        let row = engine(&model, "vllm", 16, tp(ranks));
        assert_eq!(row.devices.len() as u64, ranks);
        for device in &row.devices {
            // Exact, if the weights are those declared.
            assert_eq!(term(device, "weights").basis, Basis::Estimate, "{}", term(device, "weights").formula);
            assert_eq!(format!("{:.2}", low(device, "weights") as f64 / GIB), weights, "tp {ranks}");
            assert_eq!(low(device, "kv_cache"), cache * 16, "tp {ranks}");
        }
    }
    // Every rank holds the norms; above 8 ranks KV heads are repeated.
    let row = engine(&model, "vllm", 16, tp(16));
    assert!(
        row.notes
            .iter()
            .any(|n| n.contains("16 devices: tensor parallel 16") && n.contains("key/value heads") && n.contains("norm"))
    );
    let whole = engine(&model, "vllm", 16, tp(1));
    let norms = 161 * 8192 * 2;
    let sum = engine(&model, "vllm", 16, tp(8)).devices.iter().map(|d| low(d, "weights")).sum::<u64>();
    assert_eq!(sum, low(&whole.devices[0], "weights") + 7 * norms);
}

#[test]
fn sizes_that_do_not_divide_are_named_with_those_that_do() {
    let model = llama_70b();
    for (ranks, why) in [(3, "64 attention heads do not divide over tp 3"), (5, "valid for vllm: tp 1, 2, 4, 8, 16, 32, 64")] {
        let row = engine(&model, "vllm", 16, tp(ranks));
        let weights = term(&row.devices[0], "weights");
        assert_eq!((weights.basis, row.high), (Basis::Refused, None));
        assert!(weights.formula.contains(why), "{}", weights.formula);
    }
    // Qwen2.5-7B: 28 heads, 4 KV heads: 7 ranks neither divide nor repeat them.
    let qwen = declared(&json!({
        "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_size": 3584, "num_hidden_layers": 28,
        "num_attention_heads": 28, "num_key_value_heads": 4, "intermediate_size": 18_944, "vocab_size": 152_064,
        "max_position_embeddings": 32_768, "tie_word_embeddings": false, "torch_dtype": "bfloat16",
    }));
    let row = engine(&qwen, "vllm", 16, tp(7));
    let reason = &term(&row.devices[0], "weights").formula;
    assert!(
        reason.contains("4 key/value heads do not divide over tp 7") && reason.contains("valid for vllm: tp 1, 2, 4"),
        "{reason}"
    );
    // 28 ranks repeat the heads, but 18,944 columns do not divide.
    let reason = engine(&qwen, "vllm", 16, tp(28)).devices[0].terms[0].formula.clone();
    assert!(reason.contains("feed-forward columns of 18944 do not divide over tp 28"), "{reason}");
    // transformers repeats no heads; llama.cpp cuts no layers.
    assert!(term(&engine(&model, "transformers", 16, tp(16)).devices[0], "weights").formula.contains("tp 1, 2, 4, 8"));
    assert!(term(&engine(&model, "llama.cpp", 16, tp(2)).devices[0], "weights").formula.contains("--pp N"));
    let row = engine(&model, "vllm", 16, Parallel { pp: 81, ..tp(1) });
    assert!(term(&row.devices[0], "weights").formula.contains("more than the 80 layers: 1 to 80 are valid"));
    let row = engine(&model, "vllm", 16, Parallel { ep: 2, ..tp(2) });
    assert!(term(&row.devices[0], "weights").formula.contains("no routed experts"));
}

#[test]
fn a_vocabulary_is_padded_to_64_rows() {
    let gpt2 = declared(&json!({
        "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_embd": 1600, "n_layer": 48, "n_head": 25, "vocab_size": 50_257,
        "n_positions": 1024, "torch_dtype": "bfloat16",
    }));
    // 50,257 tokens are 50,304 rows: 47 without a token on the last rank.
    let row = engine(&gpt2, "vllm", 16, tp(5));
    let reason = &row.devices[0].terms[0].formula;
    assert!(reason.contains("50257 tokens, padded to 64, of 50304 do not divide over tp 5"), "{reason}");
    let small = declared(&json!({
        "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12, "vocab_size": 50_257,
        "n_positions": 1024, "torch_dtype": "bfloat16",
    }));
    let row = engine(&small, "vllm", 16, tp(2));
    assert!(row.devices[0].terms.iter().all(|t| t.name != "vocabulary_padding"));
    assert_eq!(low(&row.devices[1], "vocabulary_padding"), 47 * 768 * 2);
    assert_eq!(row.devices.iter().map(|d| low(d, "kv_cache")).sum::<u64>(), 12 * 2 * 768 * 2 * 16);
}

#[test]
fn a_pipeline_has_the_embedding_first_and_the_head_last() {
    // Llama-3.1-8B over 3 stages: 32 layers are 10, 11, 11 + the remainder before the last.
    let model = llama(4096, 32, 32, 8, 14_336);
    let row = engine(&model, "vllm", 1024, Parallel { pp: 3, ..tp(1) });
    let (layer, ends, norm) = (2 * 218_112_000, 2 * 128_256 * 4096, 2 * 4096);
    let weights: Vec<u64> = row.devices.iter().map(|d| low(d, "weights")).collect();
    assert_eq!(weights, [11 * layer + ends, 11 * layer, 10 * layer + ends + norm]);
    let caches: Vec<u64> = row.devices.iter().map(|d| low(d, "kv_cache")).collect();
    assert_eq!(caches, [11 * 4096 * 1024, 11 * 4096 * 1024, 10 * 4096 * 1024]);
    assert!(row.worst_device.as_deref().unwrap().starts_with("device 0"), "{:?}", row.worst_device);
    // Logits are on the last stage only.
    assert!(row.devices[0].terms.iter().all(|t| t.name != "logits") && low(&row.devices[2], "logits") > 0);
    // A tied embedding stands on both ends.
    let tied = declared(&json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 2048, "num_hidden_layers": 16,
        "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 8192, "vocab_size": 128_256, "head_dim": 64,
        "max_position_embeddings": 131_072, "tie_word_embeddings": true, "torch_dtype": "bfloat16",
    }));
    let row = engine(&tied, "vllm", 16, Parallel { pp: 2, ..tp(1) });
    let one = engine(&tied, "vllm", 16, tp(1));
    let sum: u64 = row.devices.iter().map(|d| low(d, "weights")).sum();
    assert_eq!(sum, low(&one.devices[0], "weights") + 2 * 128_256 * 2048);
}

#[test]
fn experts_are_shared_out() {
    let model = mixtral();
    let whole = low(&engine(&model, "vllm", 16, tp(1)).devices[0], "weights");
    let experts = 32 * 8 * 3 * 4096 * 14_336 * 2u64;
    let dense = whole - experts;
    // Experts whole on each of 2 x 2 ranks, the rest as tensor parallel on each replica.
    let row = engine(&model, "vllm", 16, Parallel { tp: 2, ep: 4, dp: 2, pp: 1 });
    assert_eq!(row.devices.len(), 4);
    let replicated = (65 * 4096 + 32 * 8 * 4096) * 2;
    for device in &row.devices {
        assert_eq!(
            low(device, "weights"),
            (dense - replicated) / 2 + replicated + experts / 4,
            "{}",
            term(device, "weights").formula
        );
    }
    // Without expert parallel the ranks of all replicas cut each expert.
    let row = engine(&model, "vllm", 16, Parallel { dp: 2, ..tp(1) });
    assert_eq!(low(&row.devices[0], "weights"), dense + experts / 2);
    // Only the product of tp and dp is an expert parallel size of vLLM's.
    let row = engine(&model, "vllm", 16, Parallel { ep: 2, ..tp(4) });
    assert!(row.devices[0].terms[0].formula.contains("ep 4 or ep 1 is valid"), "{}", row.devices[0].terms[0].formula);
    // A remainder goes to the first ranks: 8 experts over 3 replicas are 3, 3, 2.
    let row = engine(&model, "vllm", 16, Parallel { ep: 3, dp: 3, ..tp(1) });
    let held: Vec<u64> = row.devices.iter().map(|d| (low(d, "weights") - dense) * 8 / experts).collect();
    assert_eq!(held, [3, 3, 2]);
    // Hybrid: the product of the sizes.
    assert_eq!(engine(&model, "vllm", 16, Parallel { tp: 2, pp: 2, dp: 2, ep: 4 }).devices.len(), 8);
    assert!(
        report(&model, "vllm", 16, Parallel { dp: 65_536, ..tp(8) }).engines[0].devices[0].terms[0]
            .formula
            .contains("1024 devices")
    );
}

#[test]
fn a_latent_cache_is_on_every_rank() {
    // 61 x 576 x 2 B a token, however many ranks.
    let model = declared(&json!({
        "architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3", "hidden_size": 7168, "num_hidden_layers": 61,
        "num_attention_heads": 128, "num_key_value_heads": 128, "intermediate_size": 18_432, "moe_intermediate_size": 2048,
        "vocab_size": 129_280, "n_routed_experts": 256, "n_shared_experts": 1, "num_experts_per_tok": 8, "first_k_dense_replace": 3,
        "kv_lora_rank": 512, "q_lora_rank": 1536, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128,
        "max_position_embeddings": 163_840, "moe_layer_freq": 1, "tie_word_embeddings": false, "torch_dtype": "bfloat16",
        "num_nextn_predict_layers": 0,
    }));
    for ranks in [1, 8, 16] {
        let row = engine(&model, "vllm", 16, tp(ranks));
        assert_eq!(low(&row.devices[0], "kv_cache"), 70_272 * 16, "tp {ranks}");
    }
}

#[test]
fn a_budget_of_several_devices_is_answered_by_the_worst() {
    let model = llama_70b();
    let fit = |text: &str| {
        let asked = MemoryRequest {
            engines: vec!["vllm".to_owned()],
            ctx: Some(8192),
            fit: vec![Budget::parse(text).unwrap()],
            ..MemoryRequest::default()
        };
        memory(&ProjectInput::from_checkpoint(&model), &asked).fit.remove(0)
    };
    // 16.43 GiB of weights on each of 8, 32.86 on each of 4.
    let row = fit("8x24GiB");
    assert_eq!((row.verdict, row.devices), (Verdict::Fits, 8), "{row:?}");
    // What is judged is the worst device's; the sum stands apart.
    assert!(row.needs_high.unwrap() < 24 << 30 && row.sum_low >= 8 * 1643 * (1 << 30) / 100, "{row:?}");
    assert!(row.notes.iter().any(|n| n.contains("tensor parallel")));
    assert!(row.max_seqs.unwrap() > 1 && row.max_ctx.unwrap() > 8192);
    let row = fit("4x24GiB");
    assert_eq!(row.verdict, Verdict::No);
    assert_eq!(row.first_scheme_that_fits.unwrap().scheme, "ct-fp8-dynamic");
    assert!(row.biggest_lever.unwrap().starts_with("weights as ct-fp8-dynamic save"));
    // 5 devices: no tensor parallel size, so a pipeline of 16 layers each.
    assert!(fit("5x40GiB").notes.iter().any(|n| n.contains("pipeline")));
}

fn train(checkpoint: &Checkpoint, parallel: Parallel, zero: u8) -> Vec<Place> {
    let asked = TrainRequest { zero, dp: parallel.dp, seq: 4096, ..TrainRequest::new(Recipe::parse("adam-mixed-18").unwrap()) };
    let request = MemoryRequest { train: Some(asked), parallel, ..MemoryRequest::default() };
    memory(&ProjectInput::from_checkpoint(checkpoint), &request).training.remove(0).devices
}

#[test]
fn training_is_cut_as_megatron_cuts_it() {
    let model = llama_70b();
    let (layer, matrices, ends) = (855_654_400u64, 855_654_400 - 2 * 8192, 8192u64);
    assert_eq!(80 * layer + 2 * 128_256 * ends + 8192, 70_553_706_496);
    // 128,256 tokens are padded to 129,024 rows over 8 ranks; norms are whole.
    let devices = train(&model, Parallel { tp: 8, pp: 2, dp: 4, ep: 1 }, 1);
    assert_eq!(devices.len(), 2);
    let first = 40 * (matrices / 8 + 2 * 8192) + 129_024 / 8 * ends;
    assert_eq!(low(&devices[0], "weights"), 2 * first);
    assert_eq!(low(&devices[1], "weights"), 2 * (first + 8192));
    // Megatron's distributed optimizer: 6 + 12 / dp bytes a parameter.
    let states: u64 =
        ["weights", "gradients", "master_weights", "optimizer_states"].iter().map(|name| low(&devices[0], name)).sum();
    assert_eq!(states, 6 * first + 3 * first);
    // arXiv 2205.05198: two micro-batches are in flight on the first of two stages; with sequence parallelism all is cut by 8.
    let per_layer = 16 * 8192 + 4 * 8192 + 4 * 1024 + 8 * 28_672 + 4 * 64 + 8u64;
    let activations = term(&devices[0], "activations");
    assert_eq!(activations.low, Some(4096 * 80 * (per_layer / 8)));
    assert_eq!(activations.high, Some(4096 * 80 * (16 * 8192 + 8 + (per_layer - 16 * 8192 - 8).div_ceil(8))));
    assert_eq!(term(&devices[1], "activations").low, Some(4096 * 40 * (per_layer / 8)));
    // The head's logits are cut with the vocabulary.
    assert_eq!(low(&devices[1], "logits"), 4096 * 16_032 * 6);
    assert!(devices[0].terms.iter().all(|t| t.name != "logits"));
}

fn recipe(checkpoint: &Checkpoint, name: &str, parallel: Parallel) -> Vec<weighbridge::project::memory::TrainingRow> {
    let asked = TrainRequest { seq: 4096, dp: parallel.dp, ..TrainRequest::new(Recipe::parse(name).unwrap()) };
    let request = MemoryRequest { train: Some(asked), parallel, ..MemoryRequest::default() };
    memory(&ProjectInput::from_checkpoint(checkpoint), &request).training
}

#[test]
fn adapters_are_cut_with_their_matrices() {
    let model = llama_70b();
    let devices = &recipe(&model, "lora-16", Parallel { tp: 8, pp: 2, ..tp(1) })[0].devices;
    let base = 40 * ((855_654_400 - 2 * 8192) / 8 + 2 * 8192) + 129_024 / 8 * 8192;
    assert_eq!((devices.len(), low(&devices[0], "weights"), low(&devices[1], "weights")), (2, 2 * base, 2 * (base + 8192)));
    // Inputs and outputs of q, k, v, o, gate, up and down on one of 8 ranks; PEFT keeps A whole where outputs are cut, B where inputs are.
    let (width, head, keys, wide) = (8192u64, 1024, 128, 3584);
    let whole = (width + head) + 2 * (width + keys) + (head + width) + 2 * (width + wide) + (wide + width);
    let cut = (head + head) + 2 * (head + keys) + (head + head) + 2 * (head + wide) + (wide + head);
    let adapters = term(&devices[0], "adapter_weights");
    assert_eq!((adapters.low, adapters.high), (Some(2 * 40 * 16 * cut), Some(2 * 40 * 16 * whole)));
    let states = term(&devices[1], "optimizer_states");
    assert_eq!((states.low, states.high, states.basis), (Some(8 * 40 * 16 * cut), Some(8 * 40 * 16 * whole), Basis::Range));
    // A pipeline alone cuts no matrix: the stages have what one device has.
    let one = &recipe(&model, "lora-16", tp(1))[0].devices[0];
    let stages = &recipe(&model, "lora-16", Parallel { pp: 2, ..tp(1) })[0].devices;
    assert_eq!(stages.iter().map(|d| low(d, "adapter_weights")).sum::<u64>(), low(one, "adapter_weights"));
    assert_eq!(term(&stages[0], "adapter_weights").basis, Basis::Exact);
    for (name, why) in
        [("qlora-16", "no published rule for cutting a base in NF4"), ("adafactor", "no published rule for Adafactor")]
    {
        let row = &recipe(&model, name, tp(2))[0];
        assert_eq!((row.devices[0].high, row.recipe.as_str()), (None, name));
        assert!(row.devices[0].terms[0].formula.starts_with(why), "{}", row.devices[0].terms[0].formula);
    }
    // Blocks of 8-bit states are counted of what a rank holds.
    let eight = &recipe(&model, "adam-8bit", tp(8))[0].devices[0];
    let params = 80 * ((855_654_400 - 2 * 8192) / 8 + 2 * 8192) + 2 * 129_024 / 8 * 8192 + 8192;
    assert_eq!(low(eight, "weights"), 2 * params);
    assert!((low(eight, "optimizer_states") as f64 / params as f64 - 2.03125).abs() < 1e-4);
}

#[test]
fn teacher_and_student_are_cut_alike() {
    let model = llama_70b();
    let rows = recipe(&model, "distill", Parallel { tp: 8, pp: 2, ..tp(1) });
    let names: Vec<&str> = rows.iter().map(|row| row.recipe.as_str()).collect();
    assert_eq!(names, ["distill-half-layers", "distill-half-width"]);
    let (layer, ends) = ((855_654_400u64 - 2 * 8192) / 8 + 2 * 8192, 129_024 / 8 * 8192u64);
    let [first, last] = rows[0].devices.as_slice() else { panic!("{} stages", rows[0].devices.len()) };
    assert_eq!(low(first, "weights"), 2 * (20 * layer + ends));
    assert_eq!(low(last, "weights"), 2 * (20 * layer + ends + 8192));
    assert_eq!((low(first, "teacher"), low(last, "teacher")), (2 * (40 * layer + ends), 2 * (40 * layer + ends + 8192)));
    // Both give logits, at the end of the pipeline.
    assert_eq!(low(last, "logits"), 2 * 4096 * 16_032 * 6);
    assert!(first.terms.iter().all(|t| t.name != "logits"));
    // Half the width: matrices of a quarter, norms and embeddings of half; 4 KV heads are repeated over 8 ranks, each of which has one.
    let narrow = (855_654_400u64 - 2 * 8192) / 4 / 8 + 2 * 4096 + 2 * (128 * 4096 - 512 * 4096 / 8);
    assert_eq!(low(&rows[1].devices[0], "weights"), 2 * (40 * narrow + ends / 2));
    // 64 ranks cut the teacher's heads; those of the narrow student they do not.
    let rows = recipe(&model, "distill", tp(64));
    assert!(rows[1].devices[0].terms[0].formula.contains("32 attention heads do not divide over tp 64"));
}

#[test]
fn experts_in_training_are_sharded_over_what_is_left_of_the_replicas() {
    let model = mixtral();
    let experts = 32 * 8 * 3 * 4096 * 14_336u64;
    let dense = 46_702_792_704 - experts;
    let devices = train(&model, Parallel { ep: 4, dp: 8, ..tp(1) }, 1);
    let padding = (32_000u64.next_multiple_of(128) - 32_000) * 2 * 4096;
    assert_eq!(low(&devices[0], "weights"), 2 * (dense + padding + experts / 4));
    // Optimizer states: of what is dense over 8 replicas, of the experts over 8 / 4.
    assert_eq!(low(&devices[0], "optimizer_states"), (dense + padding) + 8 * experts / 4 / 2);
    let refused = train(&model, Parallel { ep: 3, dp: 8, ..tp(1) }, 1);
    assert!(refused[0].terms[0].formula.contains("ep 3 does not divide dp 8"), "{}", refused[0].terms[0].formula);
}

#[test]
fn llama_cpp_splits_by_layers() {
    let model = llama(4096, 32, 32, 8, 14_336);
    let row = engine(&model, "llama.cpp", 4096, Parallel { pp: 2, ..tp(1) });
    // 33 places, the head being the last, over two devices: 17 layers, and 15 with the head; the embedding stays on the host.
    let caches: Vec<u64> = row.devices.iter().map(|d| low(d, "kv_cache")).collect();
    assert_eq!(caches, [17 * 4096 * 4096, 15 * 4096 * 4096]);
    assert_eq!(low(&row.devices[0], "weights"), 17 * 2 * 218_112_000);
    assert_eq!(low(&row.host, "embedding_weights"), 2 * 128_256 * 4096);
    assert_eq!(term(&row.devices[0], "compute_buffer").basis, Basis::Refused);
    // The last device has the last norm and the head.
    let (layer, head) = (218_112_000, 128_256 * 4096);
    assert_eq!(low(&row.devices[1], "weights"), 2 * (15 * layer + 4096 + head));
    // A tied head is a second copy of the embedding, on the last device (`TENSOR_DUPLICATED`).
    let tied = declared(&json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14_336, "vocab_size": 128_256,
        "max_position_embeddings": 131_072, "tie_word_embeddings": true, "torch_dtype": "bfloat16",
    }));
    let row = engine(&tied, "llama.cpp", 4096, Parallel { pp: 2, ..tp(1) });
    assert_eq!(low(&row.devices[1], "weights"), 2 * (15 * layer + 4096 + head));
    assert_eq!(low(&row.host, "embedding_weights"), 2 * head);
}

#[test]
fn llama_cpp_keeps_inputs_on_the_host_and_rotary_factors_everywhere() {
    // GPT-2's position table is an input as its tokens are; the factors of Llama 3.1 are referred to by every layer.
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14_336, "vocab_size": 128_256,
        "max_position_embeddings": 131_072, "tie_word_embeddings": false, "torch_dtype": "bfloat16",
        "rope_scaling": {"factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0, "original_max_position_embeddings": 8192,
            "rope_type": "llama3"},
    });
    let asked = MemoryRequest {
        engines: vec!["llama.cpp".to_owned()],
        ctx: Some(4096),
        parallel: Parallel { pp: 2, ..tp(1) },
        ..MemoryRequest::default()
    };
    let converted = |checkpoint: &Checkpoint| {
        let folder = checkpoint::HfFolder::declared(checkpoint).unwrap();
        memory(&ProjectInput::from_checkpoint(checkpoint).with_folder(Some(&folder)), &asked).engines.remove(0)
    };
    let row = converted(&declared(&config));
    // Matrices of 16 bits, norms and 64 factors of 32: 15 layers and 17 of them.
    let layer = 2 * (218_112_000 - 8192) + 4 * 8192;
    assert_eq!(low(&row.devices[0], "weights"), 17 * layer + 4 * 64);
    assert_eq!(low(&row.devices[1], "weights"), 15 * layer + 4 * 4096 + 2 * 128_256 * 4096 + 4 * 64);
    let gpt2 = declared(&json!({
        "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12, "n_positions": 1024,
        "n_ctx": 1024, "vocab_size": 50_257, "torch_dtype": "float16", "layer_norm_epsilon": 1e-5,
    }));
    let row = converted(&gpt2);
    assert_eq!(low(&row.host, "embedding_weights"), (2 * 50_257 + 4 * 1024) * 768);
}

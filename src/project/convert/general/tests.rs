//! Names, titles and size labels as gguf-py gives them.

use super::*;

/// What gguf-py of that commit says of each.
#[rustfmt::skip]
const IDS: &[(&str, u64, [&str; 6])] = &[
    ("meta-llama/Llama-3.1-8B-Instruct", 8030261248, ["Llama-3.1-8B-Instruct", "meta-llama", "Llama-3.1", "Instruct", "", "8B"]),
    ("Qwen2.5-0.5B-Instruct", 494032768, ["Qwen2.5-0.5B-Instruct", "", "Qwen2.5", "Instruct", "", "0.5B"]),
    ("gemma-3-270m-it", 268098176, ["gemma-3-270m-it", "", "gemma-3", "it", "", "270M"]),
    ("SmolLM2-135M", 134515008, ["SmolLM2-135M", "", "SmolLM2", "", "", "135M"]),
    ("Phi-3-mini-4k-instruct", 3821079552, ["Phi-3-mini-4k-instruct", "", "Phi-3", "4k-instruct", "", "mini"]),
    ("mistralai/Mistral-7B-v0.1", 7241732096, ["Mistral-7B-v0.1", "mistralai", "Mistral", "", "v0.1", "7B"]),
    ("DeepSeek-V3-0324", 671026419200, ["DeepSeek-V3-0324", "", "DeepSeek", "", "V3-0324", ""]),
    ("all-MiniLM-L6-v2", 22713216, ["all-MiniLM-L6-v2", "", "all-MiniLM-L6", "", "v2", ""]),
    ("gpt-oss-20b", 20914757184, ["gpt-oss-20b", "", "gpt-oss", "", "", "20B"]),
    ("Mixtral-8x22B-v0.1-q4_k_m", 140620634112, ["Mixtral-8x22B-v0.1-q4_k_m", "", "Mixtral", "", "v0.1", "8x22B"]),
    ("bert-base-uncased", 109482240, ["bert-base-uncased", "", "", "", "", ""]),
    ("model", 5, ["model", "", "", "", "", ""]),
    ("a b c", 5, ["a b c", "", "", "", "", ""]),
    ("./x", 5, ["x", "", "", "", "", ""]),
    ("t5-small", 60506624, ["t5-small", "", "t5", "", "", "small"]),
    ("starcoder2-3b", 3030371328, ["starcoder2-3b", "", "starcoder2", "", "", "3B"]),
    ("falcon-7b-instruct", 7217189760, ["falcon-7b-instruct", "", "falcon", "instruct", "", "7B"]),
    ("TinyLlama-1.1B-Chat-v1.0", 1100048384, ["TinyLlama-1.1B-Chat-v1.0", "", "TinyLlama", "Chat", "v1.0", "1.1B"]),
    ("Qwen1.5-110B-Chat", 111209914368, ["Qwen1.5-110B-Chat", "", "Qwen1.5", "Chat", "", "110B"]),
    ("bloom-7b1", 7069016064, ["bloom-7b1", "", "bloom", "", "", "7.1B"]),
    ("x-262k", 8030261248, ["x-262k", "", "x", "262k", "", ""]),
    ("nomic-embed-text-v1.5", 136731648, ["nomic-embed-text-v1.5", "", "nomic-embed-text", "", "v1.5", ""]),
    ("Qwen3-30B-A3B-fp16", 30532122624, ["Qwen3-30B-A3B-fp16", "", "Qwen3", "", "", "30B-A3B"]),
    ("iter-5-v2.0-iter3", 100, ["iter-5-v2.0-iter3", "", "iter", "", "5-v2.0-iter3", ""]),
    ("--a--", 7, ["--a--", "", "", "", "", ""]),
    ("Llama-3-lora-vision-XL", 7, ["Llama-3-lora-vision-XL", "", "Llama-3", "lora-vision", "", "XL"]),
];
#[rustfmt::skip]
const TITLES: &[(&str, &str)] = &[
    ("all-MiniLM-L6-v2", "All MiniLM L6 v2"),
    ("a1b-c2 v1.0 3x", "A1B C2 v1.0 3x"),
    ("O'neil-it's", "O'neil It'S"),
    ("ms_marco", "Ms_Marco"),
    ("gpt-oss-20b", "Gpt Oss 20b"),
    ("ÉCOLE-école", "ÉCOLE École"),
    ("v1.a x", "V1.A X"),
];
const LABELS: &[(u64, &str)] = &[
    (5, "0.01K"),
    (999, "1.0K"),
    (1000, "1.0K"),
    (99499, "99K"),
    (99500, "100K"),
    (999999, "1000K"),
    (1000000, "1000K"),
    (1000001, "1.0M"),
    (2524928, "2.5M"),
    (9949999, "10M"),
    (9950001, "10M"),
    (22566144, "23M"),
    (643840, "644K"),
    (1100048384, "1.1B"),
    (671026419200, "671B"),
    (1500000000000, "1.5T"),
    (10000000001, "10B"),
];

#[test]
fn names_are_taken_apart_as_gguf_py_does() {
    for (id, total, want) in IDS {
        let c = components(id, *total);
        let got = [c.name, c.organization, c.basename, c.finetune, c.version, c.size_label].map(Option::unwrap_or_default);
        assert_eq!(got, *want, "{id}");
    }
    for (text, want) in TITLES {
        assert_eq!(title(text), *want);
    }
    for (n, want) in LABELS {
        assert_eq!(rounded(*n), *want);
    }
}

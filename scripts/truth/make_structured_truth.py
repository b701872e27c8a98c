#!/usr/bin/env python3
"""Writes fixtures/prune/structured.json: what transformers itself makes of a smaller config.

For each family a model is made on torch's meta device (shapes without memory) from a config, and again from the config that a cut
leaves; the names and shapes of both are recorded, tied copies left out as `save_pretrained` leaves them out. Heads of BERT and
GPT-2, whose classes have no width of a head of its own, are cut by transformers' own `prune_heads` on a model with weights.

Versions: torch 2.15.0, transformers 4.57.6 (the last major whose modules have the names of the files: transformers 5 fuses experts).
Run: python scripts/truth/make_structured_truth.py > fixtures/prune/structured.json
"""
import json
import os

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
import transformers
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForMaskedLM, CONFIG_MAPPING

DECODER = dict(hidden_size=512, num_attention_heads=8, num_key_value_heads=2, head_dim=64, intermediate_size=1536,
               num_hidden_layers=6, vocab_size=1000, max_position_embeddings=256)

# What each cut of a family with `head_dim` in its config changes there.
GROUPED = [
    ("layers=2", dict(num_hidden_layers=2)),
    ("layers=50%", dict(num_hidden_layers=3)),
    ("ffn=25%", dict(intermediate_size=1152)),
    ("ffn=1024", dict(intermediate_size=1024)),
    ("heads=4", dict(num_attention_heads=4, num_key_value_heads=1)),
    ("heads=6/2", dict(num_attention_heads=6)),
    ("hidden=384", dict(hidden_size=384)),
    ("layers=4+ffn=50%+hidden=448", dict(num_hidden_layers=4, intermediate_size=768, hidden_size=448)),
    ("student=layers:3,hidden:256", dict(num_hidden_layers=3, hidden_size=256, num_attention_heads=4, num_key_value_heads=1,
                                         intermediate_size=768)),
    ("student=layers:2,hidden:320,heads:4/2,ffn:900", dict(num_hidden_layers=2, hidden_size=320, num_attention_heads=4,
                                                           num_key_value_heads=2, intermediate_size=900)),
]
GPT2 = dict(n_embd=768, n_head=12, n_layer=4, vocab_size=1000, n_positions=128)
BERT = dict(hidden_size=384, num_attention_heads=12, intermediate_size=1536, num_hidden_layers=6, vocab_size=1000,
            max_position_embeddings=128)
ENCODER = [
    ("layers=3", dict(num_hidden_layers=3)),
    ("ffn=50%", dict(intermediate_size=768)),
    ("student=layers:2,hidden:192", dict(num_hidden_layers=2, hidden_size=192, num_attention_heads=6, intermediate_size=768)),
]
MOE = [(spec, dict(change)) for spec, change in GROUPED]
QWEN3_MOE = [(spec, {("moe_intermediate_size" if k == "intermediate_size" else k): v for k, v in change.items()})
             for spec, change in GROUPED]

# Experts that one parameter of a block holds: in three dimensions either way round, and in two.
STACKED = [c for c in GROUPED if c[0] in ("layers=2", "ffn=25%", "ffn=1024", "hidden=384", "heads=6/2") or "900" in c[0]]
NO_HIDDEN = [c for c in STACKED if "=" in c[0] and c[0].split("=")[0] in ("layers", "ffn")]
FEW = DECODER | dict(num_hidden_layers=3, num_local_experts=4, num_experts_per_tok=2)
DBRX = dict(d_model=512, n_heads=8, n_layers=3, max_seq_len=256, vocab_size=1000, attn_config=dict(kv_n_heads=2),
            ffn_config=dict(ffn_hidden_size=1536, moe_num_experts=4, moe_top_k=2))

# Published configurations, for counts that can be looked up.
LLAMA_1B = dict(hidden_size=2048, num_attention_heads=32, num_key_value_heads=8, head_dim=64, intermediate_size=8192,
                num_hidden_layers=16, vocab_size=128256, tie_word_embeddings=True)
QWEN_05B = dict(hidden_size=896, num_attention_heads=14, num_key_value_heads=2, intermediate_size=4864, num_hidden_layers=24,
                vocab_size=151936, tie_word_embeddings=True)

MODELS = [
    ("llama", AutoModelForCausalLM, DECODER | dict(tie_word_embeddings=False), GROUPED),
    ("llama", AutoModelForCausalLM, LLAMA_1B, [("layers=8", dict(num_hidden_layers=8)), ("ffn=25%", dict(intermediate_size=6144))]),
    ("mistral", AutoModelForCausalLM, DECODER, GROUPED),
    ("qwen2", AutoModelForCausalLM, DECODER | dict(tie_word_embeddings=False), GROUPED),
    ("qwen2", AutoModelForCausalLM, QWEN_05B, [
        ("layers=12", dict(num_hidden_layers=12)),
        ("student=layers:12,hidden:448", dict(num_hidden_layers=12, hidden_size=448, num_attention_heads=7, num_key_value_heads=1,
                                              intermediate_size=2432)),
    ]),
    ("qwen3", AutoModelForCausalLM, DECODER | dict(tie_word_embeddings=True), GROUPED),
    ("gemma", AutoModelForCausalLM, DECODER, GROUPED),
    ("gemma2", AutoModelForCausalLM, DECODER, GROUPED),
    ("phi3", AutoModelForCausalLM, DECODER | dict(pad_token_id=0), GROUPED),
    ("olmo2", AutoModelForCausalLM, DECODER, [c for c in GROUPED if "hidden" not in c[0] and "heads" not in c[0]]),
    ("mixtral", AutoModelForCausalLM, DECODER | dict(num_local_experts=4), MOE),
    ("qwen3_moe", AutoModelForCausalLM, DECODER | dict(num_experts=4, moe_intermediate_size=1536, num_experts_per_tok=2), QWEN3_MOE),
    ("llama4_text", AutoModelForCausalLM, FEW | dict(num_experts_per_tok=1, interleave_moe_layer_step=1), STACKED),
    ("granitemoe", AutoModelForCausalLM, {k: v for k, v in FEW.items() if k != "head_dim"}, NO_HIDDEN),
    ("gpt_oss", AutoModelForCausalLM, FEW, NO_HIDDEN),
    ("dbrx", AutoModelForCausalLM, DBRX, [
        ("layers=2", dict(n_layers=2)),
        ("ffn=25%", dict(ffn_config=DBRX["ffn_config"] | dict(ffn_hidden_size=1152))),
    ]),
    ("gpt2", AutoModelForCausalLM, GPT2, [
        ("layers=2", dict(n_layer=2)),
        ("ffn=25%", dict(n_inner=2304)),
        ("student=layers:2,hidden:384", dict(n_layer=2, n_embd=384, n_head=6, n_inner=1536)),
        ("heads=8", {"pruned": 4}),
    ]),
    ("bert", AutoModel, BERT, ENCODER + [("heads=9", {"pruned": 3})]),
    ("bert", AutoModelForMaskedLM, BERT, ENCODER),
    ("roberta", AutoModelForMaskedLM, BERT, ENCODER),
]


def shapes(auto, family, settings, pruned=0):
    config = CONFIG_MAPPING[family](**settings)
    with torch.device("cpu" if pruned else "meta"):
        model = auto.from_config(config)
    if pruned:
        model.prune_heads({layer: list(range(pruned)) for layer in range(config.num_hidden_layers)})
    state = model.state_dict()
    tied = set()
    if config.tie_word_embeddings:
        tied = set(getattr(model, "_tied_weights_keys", None) or [])
    return {name: list(tensor.shape) for name, tensor in state.items() if name not in tied}, config


def main():
    models = []
    for family, auto, settings, cuts in MODELS:
        base, config = shapes(auto, family, settings)
        written = {k: settings[k] if isinstance(v, dict) else v for k, v in config.to_dict().items() if k in settings or k in (
            "model_type", "tie_word_embeddings", "head_dim", "num_key_value_heads", "architectures", "n_inner", "layer_types")}
        written["model_type"] = family
        rows = []
        for spec, change in cuts:
            change = dict(change)
            after, _ = shapes(auto, family, settings | change, change.pop("pruned", 0)) if "pruned" not in change else shapes(
                auto, family, settings, change["pruned"])
            params = sum(torch.Size(s).numel() for s in after.values())
            rows.append({"spec": spec, "params": params, "shapes": after})
        models.append({"family": family, "class": auto.__name__, "config": written, "shapes": base, "cuts": rows})
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    print("{\"about\": " + json.dumps("scripts/truth/make_structured_truth.py; shapes of models that transformers makes, no weights")
          + ",\n\"versions\": " + json.dumps(versions) + ",\n\"models\": [\n" + ",\n".join(json.dumps(m) for m in models) + "\n]}")


main()

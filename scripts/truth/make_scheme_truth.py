#!/usr/bin/env python3
"""Small models of seven families with random weights, and what quantizers make of them: headers only.

usage: make_scheme_truth.py OUT [FAMILY ...] [--only PREFIX]

Writes OUT/BASE/SCHEME.json: tensors in file order ([name, dtype, shape]), __metadata__, header and file bytes, or the tool's refusal.
Sizes depend on shapes and dtypes only, never on the values. Pinned: transformers 5.23.0, torch 2.15.0, safetensors 0.8.0,
bitsandbytes 0.50.2, compressed-tensors 0.20.0, torchao 0.18.0, hqq 0.2.8.post1, optimum-quanto 0.2.7, mlx-lm 0.32.2 with mlx 0.32.4.
Everything runs on the CPU; the check for an accelerator of transformers' fp8 and metal quantizers is switched off."""
import json
import os
import shutil
import struct
import sys
import traceback

import torch
import transformers as tf

SMALL = dict(vocab_size=512, hidden_size=256, intermediate_size=512, num_hidden_layers=2, num_attention_heads=8,
             num_key_value_heads=4, max_position_embeddings=512)


def bases():
    moe = dict(SMALL, intermediate_size=384)
    bf16, f16, f32 = torch.bfloat16, torch.float16, torch.float32
    return {
        "llama-tied": (tf.LlamaForCausalLM, tf.LlamaConfig(**SMALL, tie_word_embeddings=True), bf16),
        "llama-f16": (tf.LlamaForCausalLM, tf.LlamaConfig(**SMALL), f16),
        "llama-f32": (tf.LlamaForCausalLM, tf.LlamaConfig(**SMALL), f32),
        "qwen3": (tf.Qwen3ForCausalLM, tf.Qwen3Config(**SMALL, head_dim=32, tie_word_embeddings=False), bf16),
        "mixtral": (tf.MixtralForCausalLM, tf.MixtralConfig(**moe, num_local_experts=4, num_experts_per_tok=2), bf16),
        "qwen3-moe": (tf.Qwen3MoeForCausalLM, tf.Qwen3MoeConfig(**moe, head_dim=32, num_experts=4, num_experts_per_tok=2,
                                                                moe_intermediate_size=128, decoder_sparse_step=1), bf16),
        "gpt2": (tf.GPT2LMHeadModel, tf.GPT2Config(vocab_size=512, n_positions=128, n_embd=256, n_layer=2, n_head=8), bf16),
        "bert": (tf.BertForMaskedLM, tf.BertConfig(vocab_size=512, hidden_size=256, num_hidden_layers=2, num_attention_heads=8,
                                                   intermediate_size=512, max_position_embeddings=128), bf16),
        "opt": (tf.OPTForCausalLM, tf.OPTConfig(vocab_size=512, hidden_size=256, num_hidden_layers=2, ffn_dim=512,
                                                num_attention_heads=8, max_position_embeddings=128, word_embed_proj_dim=256), bf16),
    }


def read(folder):
    """Headers of every safetensors file of a folder, by hand."""
    out = []
    for name in sorted(f for f in os.listdir(folder) if f.endswith(".safetensors")):
        path = os.path.join(folder, name)
        with open(path, "rb") as f:
            n = struct.unpack("<Q", f.read(8))[0]
            header = json.loads(f.read(n))
        metadata = header.pop("__metadata__", None)
        rows = sorted(header.items(), key=lambda kv: kv[1]["data_offsets"])
        out.append({"name": name, "header_bytes": 8 + n, "file_bytes": os.path.getsize(path), "metadata": metadata,
                    "tensors": [[k, v["dtype"], v["shape"]] for k, v in rows]})
    config = os.path.join(folder, "config.json")
    config = json.load(open(config)) if os.path.exists(config) else None
    return {"files": out, "config": config}


def load(base, **more):
    return tf.AutoModelForCausalLM.from_pretrained(base, dtype="auto", **more) if "bert" not in base else \
        tf.AutoModelForMaskedLM.from_pretrained(base, dtype="auto", **more)


def through(config):
    def run(base, out):
        load(base, quantization_config=config()).save_pretrained(out)
    return run


def bnb(**kw):
    return through(lambda: tf.BitsAndBytesConfig(**kw))


def torchao(make, **more):
    def config():
        import torchao.quantization as q
        return tf.TorchAoConfig(make(q), **more)
    return through(config)


def ct(scheme, targets=("Linear",), ignore=("lm_head",), head=True):
    def run(base, out):
        from compressed_tensors.compressors import ModelCompressor
        from compressed_tensors.quantization import QuantizationConfig, QuantizationScheme, apply_quantization_config
        from compressed_tensors.quantization.quant_scheme import preset_name_to_scheme
        model = load(base)
        s = preset_name_to_scheme(scheme, list(targets)) if isinstance(scheme, str) else QuantizationScheme(targets=list(targets), **scheme)
        config = QuantizationConfig(config_groups={"group_0": s}, ignore=list(ignore))
        apply_quantization_config(model, config)
        for m in model.modules():
            if hasattr(m, "weight_scale"):
                with torch.no_grad():
                    if m.weight_scale.dtype.is_floating_point:
                        m.weight_scale.fill_(0.01)
        compressor = ModelCompressor.from_pretrained_model(model)
        compressor.compress_model(model)
        model.save_pretrained(out)
    return run


def weights(bits, strategy, group=None, symmetric=True, kind="int"):
    return {"weights": {"num_bits": bits, "type": kind, "symmetric": symmetric, "strategy": strategy, "group_size": group}}


def hqq(bits, group, axis):
    def run(base, out):
        from hqq.core.quantize import BaseQuantizeConfig
        from hqq.models.hf.base import AutoHQQHFModel
        model = load(base)
        dtype = next(model.parameters()).dtype
        AutoHQQHFModel.quantize_model(model, quant_config=BaseQuantizeConfig(nbits=bits, group_size=group, axis=axis),
                                      compute_dtype=dtype, device="cpu")
        AutoHQQHFModel.save_to_safetensors(model, out)
    return run


def quanto(kind):
    def run(base, out):
        import optimum.quanto as q
        exclude = "lm_head"
        q.QuantizedModelForCausalLM.quantize(load(base), weights=getattr(q, kind), exclude=exclude).save_pretrained(out)
    return run


def unchecked(config, module, cls):
    def run(base, out):
        m = __import__(f"transformers.quantizers.{module}", fromlist=[cls])
        getattr(m, cls).validate_environment = lambda self, *a, **k: None
        load(base, quantization_config=config(), device_map="cpu").save_pretrained(out)
    return run


def fp8(**kw):
    return unchecked(lambda: tf.FineGrainedFP8Config(**kw), "quantizer_finegrained_fp8", "FineGrainedFP8HfQuantizer")


def metal(**kw):
    return unchecked(lambda: tf.MetalConfig(**kw), "quantizer_metal", "MetalHfQuantizer")


def mlx(**kw):
    def run(base, out):
        # `mlx_lm.convert` without its tokenizer.
        import importlib
        from pathlib import Path
        c = importlib.import_module("mlx_lm.convert")

        class NoTokenizer:
            def save_pretrained(self, _):
                pass

        def load_without(path, **more):
            from mlx_lm.utils import load_model
            # Keys that transformers 5.23 writes under other names.
            old = json.load(open(Path(path) / "config.json"))
            more = {"num_experts": old.get("num_local_experts"), "n_ctx": old.get("n_positions"),
                    "rope_theta": (old.get("rope_parameters") or {}).get("rope_theta")}
            model, config = load_model(Path(path), lazy=True, model_config={k: v for k, v in more.items() if v})
            return model, NoTokenizer(), config
        c.load = load_without
        import mlx_lm.utils as u
        c.save = lambda dst, src, model, tokenizer, config, **more: (
            u.save_model(dst, model, donate_model=True), u.save_config(config, config_path=Path(dst) / "config.json"))
        c.convert(hf_path=base, mlx_path=out, **kw)
    return run


def gptqmodel(**kw):
    def run(base, out):
        from gptqmodel import GPTQModel, QuantizeConfig
        model = GPTQModel.load(base, QuantizeConfig(**kw), device="cpu")
        torch.manual_seed(0)
        ids = [torch.randint(0, 512, (64,)).tolist() for _ in range(8)]
        model.quantize([{"input_ids": i, "attention_mask": [1] * len(i)} for i in ids], batch_size=1)
        model.save(out)
    return run


def lc(scheme, ignore=("lm_head",), **kw):
    def run(base, out):
        from datasets import Dataset
        from llmcompressor import oneshot
        from llmcompressor.modifiers.quantization import QuantizationModifier
        model = load(base)
        torch.manual_seed(0)
        ids = [torch.randint(0, 512, (64,)).tolist() for _ in range(4)]
        data = Dataset.from_dict({"input_ids": ids, "attention_mask": [[1] * 64] * 4})
        static = scheme in ("FP8", "NVFP4", "W8A8") and scheme != "W8A8"
        more = dict(dataset=data, num_calibration_samples=4, max_seq_length=64) if static else {}
        oneshot(model=model, recipe=QuantizationModifier(targets="Linear", scheme=scheme, ignore=list(ignore), **kw), **more)
        model.save_pretrained(out, save_compressed=True)
    return run


SCHEMES = {
    "bnb-int8": bnb(load_in_8bit=True),
    "bnb-nf4": bnb(load_in_4bit=True, bnb_4bit_quant_type="nf4"),
    "bnb-nf4-dq": bnb(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True),
    "bnb-int8-with-head": bnb(load_in_8bit=True, llm_int8_skip_modules=[]),
    "torchao-int8wo": torchao(lambda q: q.Int8WeightOnlyConfig(version=2)),
    "torchao-int8wo-embed": torchao(lambda q: q.Int8WeightOnlyConfig(version=2), include_input_output_embeddings=True),
    "torchao-float8wo": torchao(lambda q: q.Float8WeightOnlyConfig()),
    "torchao-intx-int4-g32": torchao(lambda q: q.IntxWeightOnlyConfig(weight_dtype=torch.int4, granularity=q.PerGroup(32))),
    "ct-w8a8": ct("W8A8"),
    "ct-fp8": ct("FP8"),
    "ct-w4a16-g32-asym": ct(weights(4, "group", 32, False)),
    "ct-nvfp4": ct("NVFP4"),
    "ct-mxfp4": ct("MXFP4"),
    "hqq-4bit-g64-axis1": hqq(4, 64, 1),
    "quanto-qint8": quanto("qint8"),
    "quanto-qint4": quanto("qint4"),
    "fp8-block128": fp8(weight_block_size=(128, 128)),
    "fp8-tensor": fp8(weight_block_size=None),
    "metal-4bit-g64": metal(bits=4, group_size=64),
    "ct-w8a8-head": ct("W8A8", ignore=()),
    "ct-w4a16-g32-asym-head": ct(weights(4, "group", 32, False), ignore=()),
    "ct-w8a8-embed": ct("W8A8", targets=("Linear", "Embedding")),
    "ct-w4a16-g32-asym-embed": ct(weights(4, "group", 32, False), targets=("Linear", "Embedding")),
    "fp8-tensor-head": fp8(weight_block_size=None, modules_to_not_convert=[]),
    "metal-4bit-g64-head": metal(bits=4, group_size=64, modules_to_not_convert=[]),
    "fp8-block64": fp8(weight_block_size=(64, 64)),
    "ct-mxfp8": ct("MXFP8"),
    "gptq-4bit-g32": gptqmodel(bits=4, group_size=32),
    "gptq-4bit-g32-lmhead": gptqmodel(bits=4, group_size=32, lm_head=True),
    "gptq-8bit-g128": gptqmodel(bits=8, group_size=128),
    "awq-4bit-g32": gptqmodel(bits=4, group_size=32, quant_method="awq", format="gemm"),
    "lc-w8a8": lc("W8A8"),
    "lc-fp8": lc("FP8"),
    "lc-fp8-block": lc("FP8_BLOCK"),
    "lc-w4a16": lc("W4A16"),
    "lc-nvfp4": lc("NVFP4"),
    "mlx-copy": mlx(),
    "mlx-4bit-g64": mlx(quantize=True, q_bits=4, q_group_size=64),
    "mlx-mxfp4": mlx(quantize=True, q_mode="mxfp4"),
    "mlx-mixed-4-6": mlx(quantize=True, quant_predicate="mixed_4_6", q_group_size=32),
    "mlx-4bit-f16": mlx(quantize=True, q_bits=4, q_group_size=64, dtype="float16"),
}


def main():
    args = sys.argv[1:]
    only = args[args.index("--only") + 1] if "--only" in args else ""
    if only:
        args = args[: args.index("--only")]
    out, wanted = args[0], args[1:]
    for name, (cls, config, dtype) in bases().items():
        if wanted and name not in wanted:
            continue
        folder = os.path.join(out, name)
        base = os.path.join(folder, "base")
        if not os.path.exists(base):
            torch.manual_seed(0)
            cls(config).to(dtype).save_pretrained(base)
        if not os.path.exists(os.path.join(base, "tokenizer.json")):
            # Some tools want a tokenizer before they look at a weight.
            from tokenizers import Tokenizer, models
            words = {f"w{i}": i for i in range(512)}
            tokenizer = Tokenizer(models.WordLevel(words, unk_token="w0"))
            tf.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="w0", pad_token="w0").save_pretrained(base)
        json.dump(read(base), open(os.path.join(folder, "base.json"), "w"))
        for scheme, run in SCHEMES.items():
            done = os.path.join(folder, f"{scheme}.json")
            if not scheme.startswith(only) or os.path.exists(done):
                continue
            made = os.path.join(folder, "made")
            shutil.rmtree(made, ignore_errors=True)
            try:
                run(base, made)
                result = read(made)
            except Exception as e:  # a refusal is a result
                result = {"refused": f"{type(e).__name__}: {e}"[:400], "trace": traceback.format_exc()[-1500:]}
            json.dump(result, open(done, "w"))
            print(name, scheme, result.get("refused") or [f["file_bytes"] for f in result["files"]], flush=True)
            shutil.rmtree(made, ignore_errors=True)


if __name__ == "__main__":
    main()

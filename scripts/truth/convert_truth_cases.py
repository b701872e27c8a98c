"""The cases of make_convert_truth.py: one folder each, and the toy tokenizers that they share."""
import json
import shutil
import struct
from pathlib import Path

TEXT = """Beautiful is better than ugly. Explicit is better than implicit. Simple is better than complex. Complex is better than
complicated. Flat is better than nested. Sparse is better than dense. Readability counts. Special cases aren't special enough to
break the rules. Although practicality beats purity. Errors should never pass silently. Unless explicitly silenced. In the face of
ambiguity, refuse the temptation to guess. Now is better than never. Namespaces are one honking great idea: 12345 67890 ÄÖÜ éè 你好.
""" * 8


# ---- tokenizers ----

def special(text, id, is_special=True, normalized=False):
    return {"id": id, "content": text, "single_word": False, "lstrip": False, "rstrip": False, "normalized": normalized,
            "special": is_special}


def save_json(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")


def byte_level(folder, specials, config, size=340, processor=None, added=()):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tok.decoder = decoders.ByteLevel()
    tok.post_processor = processor(processors) if processor else processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=list(specials), show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tok.train_from_iterator(TEXT.split("\n"), trainer)
    value = json.loads(tok.to_str())
    for text, is_special in added:
        number = len(value["model"]["vocab"]) + len([a for a in value["added_tokens"] if a["content"] not in value["model"]["vocab"]])
        value["added_tokens"].append(special(text, number, is_special, not is_special))
    save_json(folder / "tokenizer.json", value)
    if config is not None:
        decoder = {str(a["id"]): {k: v for k, v in a.items() if k != "id"} for a in value["added_tokens"]}
        save_json(folder / "tokenizer_config.json", {"added_tokens_decoder": decoder, "clean_up_tokenization_spaces": False,
                                                     "model_max_length": 2048, **config})


def gpt2_tok(folder):
    byte_level(folder, ["<|endoftext|>"], {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>",
                                          "add_prefix_space": False, "tokenizer_class": "GPT2Tokenizer"})


def qwen_tok(folder):
    byte_level(folder, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
               {"bos_token": None, "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "unk_token": None, "add_bos_token": False,
                "tokenizer_class": "Qwen2Tokenizer", "chat_template": "{% for m in messages %}{{ m.content }}{% endfor %}"},
               added=[("<tool_call>", False), ("</tool_call>", False)])


def llama3_tok(folder):
    byte_level(folder, ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"],
               {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>", "tokenizer_class": "PreTrainedTokenizerFast"},
               processor=lambda p: p.TemplateProcessing("<|begin_of_text|> $A", "<|begin_of_text|> $A <|begin_of_text|> $B",
                                                        [("<|begin_of_text|>", 0)]))


def deepseek_tok(folder):
    byte_level(folder, ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"],
               {"bos_token": {"__type": "AddedToken", "content": "<｜begin▁of▁sentence｜>", "lstrip": False, "normalized": True,
                              "rstrip": False, "single_word": False},
                "eos_token": {"__type": "AddedToken", "content": "<｜end▁of▁sentence｜>", "lstrip": False, "normalized": True,
                              "rstrip": False, "single_word": False},
                "pad_token": {"__type": "AddedToken", "content": "<｜▁pad▁｜>", "lstrip": False, "normalized": True,
                              "rstrip": False, "single_word": False},
                "add_bos_token": True, "add_eos_token": False, "tokenizer_class": "LlamaTokenizerFast"},
               processor=lambda p: p.ByteLevel(trim_offsets=False), added=[("<think>", False)])


def glm_tok(folder):
    byte_level(folder, ["<|endoftext|>", "[MASK]", "[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>", "<|observation|>"],
               {"eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>", "tokenizer_class": "PreTrainedTokenizerFast"})


def roberta_tok(folder):
    byte_level(folder, ["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
               {"bos_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "cls_token": "<s>", "unk_token": "<unk>", "pad_token": "<pad>",
                "mask_token": "<mask>", "tokenizer_class": "RobertaTokenizer"},
               processor=lambda p: p.RobertaProcessing(("</s>", 2), ("<s>", 0)))


def spm(folder, kind="bpe", size=420, name="tokenizer.model", config=None, **more):
    import io
    import sentencepiece
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(TEXT.split("\n")), model_writer=out, model_type=kind,
                                             vocab_size=size, hard_vocab_limit=False, minloglevel=2,
                                             **{"normalization_rule_name": "identity", **more})
    (folder / name).write_bytes(out.getvalue())
    if config is not None:
        save_json(folder / "tokenizer_config.json", config)


SPM_TOKENS = {str(i): {k: v for k, v in special(t, i).items() if k != "id"} for i, t in enumerate(["<unk>", "<s>", "</s>"])}


def llama_spm(folder):
    spm(folder, byte_fallback=True, config={"add_bos_token": True, "add_eos_token": False, "bos_token": "<s>", "eos_token": "</s>",
                                            "unk_token": "<unk>", "added_tokens_decoder": SPM_TOKENS, "legacy": False,
                                            "add_prefix_space": None, "tokenizer_class": "LlamaTokenizer"})


def llama_hf(folder):
    """The same without tokenizer.model: tokenizer.json with byte fallback."""
    from transformers import LlamaTokenizerFast
    llama_spm(folder)
    LlamaTokenizerFast.from_pretrained(folder).save_pretrained(folder)
    for name in ("tokenizer.model", "special_tokens_map.json"):
        (folder / name).unlink(missing_ok=True)


def llama_both(folder):
    """tokenizer.model and the tokenizer.json made of it."""
    from transformers import LlamaTokenizerFast
    llama_spm(folder)
    LlamaTokenizerFast.from_pretrained(folder).save_pretrained(folder)


def gemma_spm(folder):
    """pad, eos, bos, unk as Gemma has them, user tokens with spaces."""
    spm(folder, size=470, byte_fallback=True, pad_id=0, eos_id=1, bos_id=2, unk_id=3, pad_piece="<pad>", eos_piece="<eos>",
        bos_piece="<bos>", add_dummy_prefix=False,
        user_defined_symbols=["<mask>", "<start_of_turn>", "<end_of_turn>", "\u2581\u2581", "\n\n"],
        config={"add_bos_token": True, "add_eos_token": False, "bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>",
                "unk_token": "<unk>", "tokenizer_class": "GemmaTokenizer",
                "chat_template": "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ m.content }}{% endfor %}",
                "added_tokens_decoder": {
                    **{str(i): {k: v for k, v in special(t, i).items() if k != "id"} for i, t in
                       enumerate(["<pad>", "<eos>", "<bos>", "<unk>"])},
                    "4": {k: v for k, v in special("<mask>", 4, False).items() if k != "id"},
                    "7": {k: v for k, v in special("\u2581\u2581", 7, False).items() if k != "id"}}})


def gemma_hf(folder):
    """Gemma without tokenizer.model: BPE over pieces."""
    from transformers import GemmaTokenizerFast
    gemma_spm(folder)
    GemmaTokenizerFast.from_pretrained(folder).save_pretrained(folder)
    for name in ("tokenizer.model", "special_tokens_map.json"):
        (folder / name).unlink(missing_ok=True)


def phi3_spm(folder):
    """With added tokens in all three places."""
    from transformers import LlamaTokenizerFast
    llama_spm(folder)
    fast = LlamaTokenizerFast.from_pretrained(folder)
    fast.add_special_tokens({"additional_special_tokens": ["<|end|>", "<|user|>", "<|assistant|>"]})
    fast.add_tokens(["<|placeholder1|>"])
    fast.save_pretrained(folder)


def t5_uni(folder):
    spm(folder, "unigram", 200, "spiece.model", pad_id=0, eos_id=1, unk_id=2, bos_id=-1,
        config={"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>", "extra_ids": 100, "tokenizer_class": "T5Tokenizer"})


def t5_rules(folder):
    """With a table of normalization rules, and without the prefix."""
    rules = folder / "rules.tsv"
    rules.write_text("41\t61\n42\t62\nC4\t61 65\n", encoding="utf-8")
    spm(folder, "unigram", 190, "spiece.model", pad_id=0, eos_id=1, unk_id=2, bos_id=-1, normalization_rule_tsv=str(rules),
        normalization_rule_name="", add_dummy_prefix=False, remove_extra_whitespaces=False, config={"tokenizer_class": "T5Tokenizer"})
    rules.unlink()
    # The model names the file of its rules.
    from sentencepiece import sentencepiece_model_pb2
    model = sentencepiece_model_pb2.ModelProto.FromString((folder / "spiece.model").read_bytes())
    model.normalizer_spec.normalization_rule_tsv = ""
    (folder / "spiece.model").write_bytes(model.SerializeToString())


def t5_bpe(folder):
    spm(folder, "bpe", 420, byte_fallback=True, config={"eos_token": "</s>", "unk_token": "<unk>", "bos_token": "<s>",
                                                       "tokenizer_class": "LlamaTokenizer"})


def word_piece(folder):
    from tokenizers import BertWordPieceTokenizer
    tok = BertWordPieceTokenizer(lowercase=True)
    tok.train_from_iterator(TEXT.split("\n"), vocab_size=260, min_frequency=1, show_progress=False)
    value = json.loads(tok._tokenizer.to_str())
    from transformers import BertTokenizerFast
    (folder / "tokenizer.json").write_text(json.dumps(value), encoding="utf-8")
    BertTokenizerFast(tokenizer_object=tok._tokenizer).save_pretrained(folder)
    (folder / "vocab.txt").unlink(missing_ok=True)


TOKENIZERS = {f.__name__.replace("_", "-"): f for f in
              (gpt2_tok, qwen_tok, llama3_tok, deepseek_tok, glm_tok, roberta_tok, llama_spm, llama_hf, llama_both, gemma_spm, gemma_hf, phi3_spm, t5_uni, t5_rules,
               t5_bpe, word_piece)}


# ---- folders ----

def write_safetensors(path, tensors):
    """Names, dtypes and shapes with zeros behind them; what compressed-tensors calls `weight_shape` is filled in."""
    widths = {"F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "U8": 1, "I32": 4, "I64": 8, "I8": 1}
    rows, at = {}, 0
    for name, dtype, shape in tensors:
        n = widths[dtype]
        for d in shape:
            n *= d
        rows[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + n]}
        at += n
    head = json.dumps(rows, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(head)) + head)
        f.truncate(8 + len(head) + at)
        for name, row in rows.items():
            if name.endswith(".weight_shape"):
                packed_shape = rows[name.replace("_shape", "_packed")]["shape"]
                f.seek(8 + len(head) + row["data_offsets"][0])
                f.write(struct.pack("<2q", packed_shape[0], packed_shape[1] * 8))


def read_header(path):
    with open(path, "rb") as f:
        rows = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
    rows.pop("__metadata__", None)
    return [(k, v["dtype"], v["shape"]) for k, v in rows.items()]


def make(case, folder, tokenizers):
    import torch
    import transformers
    transformers.utils.logging.set_verbosity_error()
    torch.manual_seed(7)
    if "cls" in case:
        cls = getattr(transformers, case["cls"])
        config = cls.config_class(**case["config"])
        with torch.device("cpu"):
            model = cls(config).to(getattr(torch, case.get("dtype", "bfloat16")))
        model.save_pretrained(folder, max_shard_size=case.get("shard", "5GB"), safe_serialization=True)
    else:
        save_json(folder / "config.json", case["config"])
        write_safetensors(folder / "model.safetensors", case["tensors"])
    if case.get("tok"):
        for path in (tokenizers / case["tok"]).iterdir():
            shutil.copy(path, folder / path.name)
    for name, change in case.get("edit", {}).items():
        path = folder / name
        if change is None:
            path.unlink()
        elif callable(change):
            value = json.loads(path.read_text()) if path.exists() else {}
            value = change(value) or value
            save_json(path, value)
        elif isinstance(change, str):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(change, encoding="utf-8")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            save_json(path, change)
    if case.get("retensor"):
        path = folder / "model.safetensors"
        rows = case["retensor"](read_header(path))
        write_safetensors(path, rows)


def drop(*keys):
    def change(value):
        for key in keys:
            value.pop(key, None)
    return change


def put(**keys):
    return lambda value: value.update(keys)


CASES = []


def case(name, cls=None, config=None, tok=None, **more):
    CASES.append({"name": name, **({"cls": cls} if cls else {}), "config": config, "tok": tok, **more})


def dims(hidden=64, layers=2, heads=4, ff=128, vocab=512, **more):
    return {"hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads, "intermediate_size": ff,
            "vocab_size": vocab, "max_position_embeddings": 256, **more}


# llama, mistral, mixtral
case("llama-gqa", "LlamaForCausalLM", dims(128, 2, 8, 352, num_key_value_heads=2, tie_word_embeddings=False), "llama3-tok")
case("llama-bias-tied", "LlamaForCausalLM", dims(96, 2, 4, 200, attention_bias=True, mlp_bias=True, tie_word_embeddings=True), "llama-spm",
     dtype="float16")
case("llama-hf-tok", "LlamaForCausalLM", dims(rope_scaling={"rope_type": "linear", "factor": 2.0}), "llama-hf")
case("llama-both-tok", "LlamaForCausalLM", dims(rope_scaling={"rope_type": "dynamic", "factor": 2.0}, head_dim=32), "llama-both", dtype="float32")
case("llama-3.2-1B-Instruct", "LlamaForCausalLM", dims(num_key_value_heads=2, tie_word_embeddings=True, rope_scaling={
    "rope_type": "llama3", "factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0, "original_max_position_embeddings": 128}),
    "llama3-tok", edit={"generation_config.json": {"temperature": 0.6, "top_p": 0.9, "top_k": 40, "do_sample": True}})
case("llama-yarn", "LlamaForCausalLM", dims(rope_scaling={"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}),
     "llama-spm")
case("Mistral-7B-v0.3", "MistralForCausalLM", dims(num_key_value_heads=2, sliding_window=64), "llama-spm")
case("mistral-nemo-headdim", "MistralForCausalLM", dims(num_key_value_heads=2, sliding_window=None, head_dim=24), "llama3-tok")
case("mixtral-8x7b", "MixtralForCausalLM", dims(num_key_value_heads=2, num_local_experts=4, num_experts_per_tok=2), "llama-spm")
case("mixtral-tied-eight", "MixtralForCausalLM", dims(ff=96, num_key_value_heads=4, num_local_experts=8, tie_word_embeddings=True, head_dim=16),
     "llama-both", dtype="float32", shard="200KB")
# qwen
case("qwen2-untied", "Qwen2ForCausalLM", dims(num_key_value_heads=2, tie_word_embeddings=False, use_sliding_window=True, sliding_window=64),
     "qwen-tok")
case("Qwen2.5-0.5B", "Qwen2ForCausalLM", dims(96, 2, 6, 160, num_key_value_heads=2, tie_word_embeddings=True, rope_scaling={
    "type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}), "qwen-tok")
case("qwen2moe", "Qwen2MoeForCausalLM", dims(num_key_value_heads=2, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=48,
     shared_expert_intermediate_size=64), "qwen-tok")
case("qwen3-0.6b", "Qwen3ForCausalLM", dims(num_key_value_heads=2, head_dim=32, tie_word_embeddings=True), "qwen-tok")
case("Qwen3-8B-untied", "Qwen3ForCausalLM", dims(num_key_value_heads=4, tie_word_embeddings=False, attention_bias=True), "qwen-tok",
     dtype="float32")
case("qwen3-moe", "Qwen3MoeForCausalLM", dims(num_key_value_heads=2, head_dim=32, num_experts=4, num_experts_per_tok=2,
     moe_intermediate_size=32), "qwen-tok")
case("qwen3-moe-dense-layer", "Qwen3MoeForCausalLM", dims(num_key_value_heads=2, head_dim=32, num_experts=4, num_experts_per_tok=2,
     moe_intermediate_size=32, mlp_only_layers=[0]), "qwen-tok")
# gemma
case("gemma-2b", "GemmaForCausalLM", dims(heads=4, num_key_value_heads=1, head_dim=32), "gemma-spm")
case("gemma2-2b-it", "Gemma2ForCausalLM", dims(heads=4, num_key_value_heads=2, head_dim=16, sliding_window=64), "gemma-spm")
case("gemma3-270m", "Gemma3ForCausalLM", dims(heads=4, num_key_value_heads=1, head_dim=32, sliding_window=32), "gemma-spm")
case("gemma3-hf-tok", "Gemma3ForCausalLM", dims(heads=4, num_key_value_heads=1, head_dim=32, sliding_window=32, vocab=520,
     rope_scaling={"rope_type": "linear", "factor": 8.0}), "gemma-hf")
case("gemma3-4b-it", "Gemma3ForConditionalGeneration", {"text_config": dims(heads=4, num_key_value_heads=2, head_dim=16, sliding_window=32),
     "vision_config": {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 28,
                       "patch_size": 14}, "mm_tokens_per_image": 4}, "gemma-spm")
# phi
case("phi-2", "PhiForCausalLM", dims(), "gpt2-tok", dtype="float16")
case("phi-1_5-partial", "PhiForCausalLM", dims(96, 2, 4, 384, partial_rotary_factor=0.4), "gpt2-tok", dtype="float32")
case("phi3-mini-4k-instruct", "Phi3ForCausalLM", dims(pad_token_id=0, sliding_window=63), "phi3-spm")
case("phi3-128k", "Phi3ForCausalLM", dims(pad_token_id=0, original_max_position_embeddings=128, rope_scaling={
    "type": "longrope", "short_factor": [1.0] * 8, "long_factor": [2.0] * 8}), "phi3-spm")
case("phi-4", "Phi3ForCausalLM", dims(pad_token_id=0, num_key_value_heads=2, original_max_position_embeddings=256), "gpt2-tok")
case("phi4-mini-tied", "Phi3ForCausalLM", dims(128, 2, 4, pad_token_id=0, num_key_value_heads=2, original_max_position_embeddings=64,
     partial_rotary_factor=0.75, tie_word_embeddings=True, rope_scaling={"type": "longrope", "short_factor": [1.0] * 12,
                                                                         "long_factor": [2.0] * 12}), "gpt2-tok")
# gpt2, gpt-neox, falcon, starcoder
case("gpt2", "GPT2LMHeadModel", {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 128, "vocab_size": 400}, "gpt2-tok", dtype="float32",
     edit={"config.json": put(n_ctx=128)})
case("gpt2-without-ctx", "GPT2LMHeadModel", {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 128, "vocab_size": 400}, "gpt2-tok")
case("gpt2-medium", "GPT2LMHeadModel", {"n_embd": 96, "n_layer": 3, "n_head": 4, "n_positions": 100, "vocab_size": 341, "n_ctx": 100,
     "n_inner": 200}, "gpt2-tok")
case("pythia-14m", "GPTNeoXForCausalLM", dims(), "gpt2-tok", dtype="float16")
case("gpt-neox-tied", "GPTNeoXForCausalLM", dims(96, 2, 6, 100, tie_word_embeddings=True, attention_bias=False,
     use_parallel_residual=False, rotary_pct=0.5), "gpt2-tok")
case("falcon-7b", "FalconForCausalLM", {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 512}, "gpt2-tok")
case("falcon-40b", "FalconForCausalLM", {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 8, "vocab_size": 512,
     "num_kv_heads": 2, "new_decoder_architecture": True}, "gpt2-tok")
case("falcon-rw-bias", "FalconForCausalLM", {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 512,
     "multi_query": False, "bias": True, "alibi": True, "parallel_attn": False}, "gpt2-tok")
case("falcon-mha", "FalconForCausalLM", {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 512,
     "multi_query": False, "tie_word_embeddings": False}, "gpt2-tok", dtype="float32")
case("starcoder2-3b", "Starcoder2ForCausalLM", dims(num_key_value_heads=2, sliding_window=64), "gpt2-tok")
case("starcoder2-untied", "Starcoder2ForCausalLM", dims(96, 2, 4, 200, num_key_value_heads=4, sliding_window=None, use_bias=False,
     tie_word_embeddings=False, rope_scaling={"rope_type": "linear", "factor": 2.0}), "gpt2-tok")
# bert
case("bert-base", "BertModel", dims(type_vocab_size=2, vocab=300), "word-piece", dtype="float32")
case("bert-mlm", "BertForMaskedLM", dims(96, 2, 4, 200, vocab=300), "word-piece")
case("bert-reranker", "BertForSequenceClassification", dims(vocab=300, num_labels=1), "word-piece")
case("bert-three-labels", "BertForSequenceClassification", dims(vocab=300, id2label={0: "no", 1: "maybe", 2: "yes"},
     label2id={"no": 0, "maybe": 1, "yes": 2}), "word-piece")
# mamba, t5
case("mamba-130m", "MambaForCausalLM", {"hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 344, "state_size": 8, "time_step_rank": 4},
     "gpt2-tok", dtype="float32")
case("mamba-f16", "MambaForCausalLM", {"hidden_size": 96, "num_hidden_layers": 2, "vocab_size": 350, "state_size": 16,
     "use_conv_bias": False, "use_bias": True}, "gpt2-tok", dtype="float16")
T5 = {"d_model": 64, "d_kv": 16, "d_ff": 128, "num_layers": 2, "num_heads": 4, "vocab_size": 320, "decoder_start_token_id": 0}
case("t5-small", "T5ForConditionalGeneration", T5, "t5-uni", dtype="float32")
case("flan-t5-gated", "T5ForConditionalGeneration", {**T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}, "t5-uni")
case("t5-short-decoder", "T5ForConditionalGeneration", {**T5, "num_layers": 3, "num_decoder_layers": 1}, "t5-uni")
case("t5-long-decoder", "T5ForConditionalGeneration", {**T5, "num_decoder_layers": 3}, "t5-uni")
case("mt5-small", "MT5ForConditionalGeneration", {**T5, "tie_word_embeddings": False}, "t5-uni")
case("umt5-small", "UMT5ForConditionalGeneration", {**T5, "tie_word_embeddings": False}, "t5-uni")
case("t5-rules", "T5ForConditionalGeneration", T5, "t5-rules", edit={"added_tokens.json": {"<extra_a>": 300, "<extra_b>": 301}})
case("t5-no-start", "T5ForConditionalGeneration", {k: v for k, v in T5.items() if k != "decoder_start_token_id"}, "t5-uni")
case("pile-t5", "UMT5ForConditionalGeneration", {**T5, "vocab_size": 512}, "t5-bpe")
# deepseek
MLA = {"q_lora_rank": 32, "kv_lora_rank": 32, "qk_rope_head_dim": 16, "qk_nope_head_dim": 32, "v_head_dim": 32,
       "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "n_shared_experts": 1,
       "first_k_dense_replace": 1}
case("DeepSeek-V2", "DeepseekV2ForCausalLM", dims(num_key_value_heads=4, n_group=2, topk_group=1, topk_method="group_limited_greedy", **MLA),
     "deepseek-tok")
case("DeepSeek-V2-Lite", "DeepseekV2ForCausalLM", dims(num_key_value_heads=4, **{**MLA, "q_lora_rank": None, "n_shared_experts": 2},
     rope_scaling={"type": "yarn", "factor": 40, "beta_fast": 32, "beta_slow": 1, "mscale": 0.707, "mscale_all_dim": 0.707,
                   "original_max_position_embeddings": 64}), "deepseek-tok")
case("DeepSeek-V3", "DeepseekV3ForCausalLM", dims(num_key_value_heads=4, n_group=2, topk_group=1, **MLA, rope_scaling={
    "type": "yarn", "factor": 40, "beta_fast": 32, "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 1.0,
    "original_max_position_embeddings": 64}), "deepseek-tok", edit={"config.json": put(scoring_func="sigmoid", num_nextn_predict_layers=1)})
# gpt-oss
case("gpt-oss-bf16", "GptOssForCausalLM", dims(head_dim=16, num_key_value_heads=2, num_local_experts=4, num_experts_per_tok=2,
     sliding_window=32), "qwen-tok")

# ---- configs as they are published: keys with the class's default value are left out ----


def sparse(name, keep=("model_type", "architectures")):
    """The case again, with a config.json that holds only what differs from the class's defaults."""
    base = next(c for c in CASES if c["name"] == name)

    def change(value, cls=base["cls"]):
        import transformers
        plain = getattr(transformers, cls).config_class()
        plain = plain.to_dict()
        return {k: v for k, v in value.items() if k in keep or k not in plain or plain[k] != v}
    edit = dict(base.get("edit", {}))
    before = edit.pop("config.json", None)

    def both(value):
        value = (before(value) or value) if before else value
        return change(value)
    CASES.append({**base, "name": name + "-sparse", "edit": {**edit, "config.json": both}})


for _name in ("llama-gqa", "llama-yarn", "Mistral-7B-v0.3", "mixtral-8x7b", "qwen2-untied", "qwen2moe", "qwen3-0.6b", "qwen3-moe", "gemma-2b",
              "gemma2-2b-it", "gemma3-270m", "gemma3-4b-it", "phi-2", "phi3-mini-4k-instruct", "phi-4", "gpt2", "pythia-14m", "falcon-40b",
              "starcoder2-3b", "bert-base", "bert-reranker", "mamba-130m", "t5-small", "mt5-small", "DeepSeek-V2", "DeepSeek-V3", "gpt-oss-bf16"):
    sparse(_name)

# Keys that real files set to null or spell in their older way.
case("llama-null-kv", "LlamaForCausalLM", dims(), "llama3-tok", edit={"config.json": put(num_key_value_heads=None, head_dim=None,
     rope_scaling=None, pad_token_id=-1)})
case("llama-no-tokenizer-config", "LlamaForCausalLM", dims(), "llama3-tok", edit={"tokenizer_config.json": None})
case("llama-no-tokenizer", "LlamaForCausalLM", dims(), None)
case("qwen2-no-tokenizer", "Qwen2ForCausalLM", dims(), None)
case("gemma2-no-tokenizer", "Gemma2ForCausalLM", dims(head_dim=16), None)
case("bert-no-tokenizer", "BertModel", dims(vocab=300), None)
case("phi3-no-model", "Phi3ForCausalLM", dims(pad_token_id=0), "llama-hf")
case("gemma-no-model", "GemmaForCausalLM", dims(head_dim=16), "gemma-hf")
case("llama-small-vocab", "LlamaForCausalLM", dims(vocab=300), "llama3-tok")
case("llama-spm-small-vocab", "LlamaForCausalLM", dims(vocab=300), "llama-spm")
case("llama-linear-type", "LlamaForCausalLM", dims(), "llama-spm", edit={"config.json": put(rope_scaling={"type": "linear", "factor": 4.0})})
case("llama-codellama-vocab", "LlamaForCausalLM", dims(32, 1, 2, 64, vocab=32016), "llama-spm")
case("llama-granite-vocab", "LlamaForCausalLM", dims(32, 1, 2, 64, vocab=49152), "gpt2-tok")
case("smollm2-gpt2-tok", "LlamaForCausalLM", dims(96, 2, 3, 256, num_key_value_heads=3, tie_word_embeddings=True), "gpt2-tok",
     edit={"special_tokens_map.json": {"bos_token": "<|endoftext|>"}})
case("llama-chat-files", "LlamaForCausalLM", dims(), "llama3-tok", edit={
    "chat_template.jinja": "{% for m in messages %}\r\n{{ m.content }}{% endfor %}\n",
    "additional_chat_templates/tool_use.jinja": "{{ tools }}", "additional_chat_templates/rag.jinja": "{{ documents }}ü"})
case("llama-chat-list", "LlamaForCausalLM", dims(), "llama3-tok", edit={"tokenizer_config.json": put(chat_template=[
    {"name": "default", "template": "{{ a }}"}, {"name": "tool-use", "template": "{{ bb }}"}, {"name": "rag", "template": "{{ ccc }}"}])})
case("llama-chat-json", "LlamaForCausalLM", dims(), "llama3-tok", edit={"chat_template.json": {"chat_template": "{{ messages }} é"}})
case("llama-generation", "LlamaForCausalLM", dims(), "llama3-tok", edit={"generation_config.json": {
    "bos_token_id": 0, "eos_token_id": [1, 2], "temperature": 0.7, "top_p": 0.8, "top_k": 20, "min_p": 0.05, "repetition_penalty": 1.05,
    "do_sample": True, "max_new_tokens": 20}})
case("llama-eos-list", "LlamaForCausalLM", dims(eos_token_id=[1, 2], bos_token_id=0, pad_token_id=2), "llama3-tok")
CARD = """---
license: apache-2.0
license_name: my-license
license_link: https://example.org/license
language:
- en
- de
library_name: transformers
pipeline_tag: text-generation
tags:
- chat
- conversational
- "42"
base_model:
- Qwen/Qwen2.5-7B-Instruct
- meta-llama/Llama-3.1-8B
datasets:
- HuggingFaceH4/ultrachat_200k
- org/data-v1.0
model-index:
- name: x
  results: []
---
# A card
"""
case("My-Model-7B-Instruct-v1.2", "LlamaForCausalLM", dims(), "llama3-tok", edit={"README.md": CARD})
case("card-single-base", "Qwen2ForCausalLM", dims(), "qwen-tok", edit={"README.md": """---
base_model: mistralai/Mistral-7B-v0.1
license: [mit, apache-2.0]
language: en
datasets: my_data
model_name: The Name 3B
model_creator: Somebody
quantized_by: Nobody
---
text
"""})
case("card-none", "Qwen2ForCausalLM", dims(), "qwen-tok", edit={"README.md": "# Only text\n\n---\nlicense: mit\n---\n"})
case("name-or-path", "Qwen2ForCausalLM", dims(), "qwen-tok", edit={"config.json": put(_name_or_path="some-org/Great-Model-1.5B-chat")})
case("name-or-deep-path", "Qwen2ForCausalLM", dims(), "qwen-tok", edit={"config.json": put(_name_or_path="/home/me/Great-Model-1.5B-chat")})

# Sources that are quantized: headers only, the converter decodes zeros.
LLAMA_CONFIG = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", **dims(num_key_value_heads=2), "rms_norm_eps": 1e-5,
                "rope_theta": 10000.0, "tie_word_embeddings": False, "torch_dtype": "bfloat16"}


def llama_tensors(linear, layers=2, hidden=64, ff=128, vocab=512, kv=32, prefix="model."):
    rows = [(f"{prefix}embed_tokens.weight", "BF16", [vocab, hidden]), (f"{prefix}norm.weight", "BF16", [hidden]),
            ("lm_head.weight", "BF16", [vocab, hidden])]
    for i in range(layers):
        at = f"{prefix}layers.{i}."
        for name, rows_, columns in (("self_attn.q_proj", hidden, hidden), ("self_attn.k_proj", kv, hidden), ("self_attn.v_proj", kv, hidden),
                                     ("self_attn.o_proj", hidden, hidden), ("mlp.gate_proj", ff, hidden), ("mlp.up_proj", ff, hidden),
                                     ("mlp.down_proj", hidden, ff)):
            rows += linear(at + name, rows_, columns)
        rows += [(at + "input_layernorm.weight", "BF16", [hidden]), (at + "post_attention_layernorm.weight", "BF16", [hidden])]
    return rows


def fp8(name, rows, columns, scale="weight_scale_inv", block=32):
    return [(name + ".weight", "F8_E4M3", [rows, columns]), (f"{name}.{scale}", "F32", [-(-rows // block), -(-columns // block)])]


def gptq(name, rows, columns, bits=4, group=32):
    return [(name + ".qweight", "I32", [columns * bits // 32, rows]), (name + ".qzeros", "I32", [columns // group, rows * bits // 32]),
            (name + ".scales", "F16", [columns // group, rows]), (name + ".g_idx", "I32", [columns])]


def packed(name, rows, columns, group=32):
    return [(name + ".weight_packed", "I32", [rows, columns // 8]), (name + ".weight_scale", "BF16", [rows, columns // group]),
            (name + ".weight_shape", "I64", [2])]


def channel(kind):
    return lambda name, rows, columns: [(name + ".weight", kind, [rows, columns]), (name + ".weight_scale", "BF16", [rows, 1])]


def quantized(name, linear, config, **more):
    case(name, None, {**LLAMA_CONFIG, **more.pop("config", {}), "quantization_config": config}, "llama3-tok", tensors=llama_tensors(linear),
         **more)


GROUP = {"num_bits": 4, "type": "int", "symmetric": True, "strategy": "group", "group_size": 32}
quantized("llama-fp8-block", fp8, {"quant_method": "fp8", "weight_block_size": [32, 32], "activation_scheme": "dynamic", "fmt": "e4m3"})
quantized("llama-fp8-static", lambda n, r, c: fp8(n, r, c) + [(n + ".activation_scale", "F32", [])],
          {"quant_method": "fp8", "weight_block_size": [32, 32], "activation_scheme": "static"})
quantized("llama-gptq-4", gptq, {"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": False, "sym": True})
quantized("llama-gptq-8", lambda n, r, c: gptq(n, r, c, 8), {"quant_method": "gptq", "bits": 8, "group_size": 32, "desc_act": True})
quantized("llama-gptq-3", lambda n, r, c: gptq(n, r, c, 3), {"quant_method": "gptq", "bits": 3, "group_size": 32})
quantized("llama-gptq-v2", gptq, {"quant_method": "gptq", "bits": 4, "group_size": 32, "checkpoint_format": "gptq_v2"})
quantized("llama-awq", lambda n, r, c: [(n + ".qweight", "I32", [c, r // 8]), (n + ".qzeros", "I32", [c // 32, r // 8]),
                                        (n + ".scales", "F16", [c // 32, r])], {"quant_method": "awq", "bits": 4, "group_size": 32})
quantized("llama-bnb-4bit", lambda n, r, c: [(n + ".weight", "U8", [r * c // 2, 1])],
          {"quant_method": "bitsandbytes", "load_in_4bit": True})
quantized("llama-ct-w4a16", packed, {"quant_method": "compressed-tensors", "format": "pack-quantized",
                                     "config_groups": {"group_0": {"weights": GROUP, "targets": ["Linear"]}}})
quantized("llama-ct-w4a16-zero", lambda n, r, c: packed(n, r, c) + [(n + ".weight_zero_point", "I32", [r // 8, c // 32])],
          {"quant_method": "compressed-tensors", "format": "pack-quantized",
           "config_groups": {"group_0": {"weights": {**GROUP, "symmetric": False}, "targets": ["Linear"]}}})
quantized("llama-ct-fp8", channel("F8_E4M3"), {"quant_method": "compressed-tensors", "format": "float-quantized", "config_groups": {
    "group_0": {"weights": {"num_bits": 8, "type": "float", "strategy": "channel"}, "targets": ["Linear"]}}})
quantized("llama-ct-int8", channel("I8"), {"quant_method": "compressed-tensors", "format": "int-quantized", "config_groups": {
    "group_0": {"weights": {"num_bits": 8, "type": "int", "strategy": "channel"}, "targets": ["Linear"]}}})
quantized("llama-ct-fp8-tensor", lambda n, r, c: [(n + ".weight", "F8_E4M3", [r, c]), (n + ".weight_scale", "BF16", [1])],
          {"quant_method": "compressed-tensors", "format": "float-quantized", "config_groups": {
              "group_0": {"weights": {"num_bits": 8, "type": "float", "strategy": "tensor"}, "targets": ["Linear"]}}})
quantized("llama-ct-two-groups", channel("F8_E4M3"), {"quant_method": "compressed-tensors", "format": "float-quantized", "config_groups": {
    k: {"weights": {"num_bits": 8, "type": "float", "strategy": "channel"}, "targets": ["Linear"]} for k in ("group_0", "group_1")}})
quantized("llama-bitnet", lambda n, r, c: [(n + ".weight", "U8", [r // 4, c]), (n + ".weight_scale", "BF16", [1])],
          {"quant_method": "bitnet"})


def nvfp4(name, rows, columns, packed=False):
    if packed:
        return [(name + ".weight_packed", "U8", [rows, columns // 2]), (name + ".weight_scale", "F8_E4M3", [rows, columns // 16]),
                (name + ".weight_global_scale", "F32", [1]), (name + ".input_global_scale", "F32", [1])]
    return [(name + ".weight", "U8", [rows, columns // 2]), (name + ".weight_scale", "F8_E4M3", [rows, columns // 16]),
            (name + ".weight_scale_2", "F32", []), (name + ".input_scale", "F32", [])]


quantized("llama-nvfp4-modelopt", nvfp4, {"quant_method": "modelopt", "quant_algo": "NVFP4", "producer": {"name": "modelopt"}})
quantized("llama-nvfp4-ct", lambda n, r, c: nvfp4(n, r, c, True), {"quant_method": "compressed-tensors", "format": "nvfp4-pack-quantized",
    "config_groups": {"group_0": {"weights": {"num_bits": 4, "type": "float", "strategy": "tensor_group", "group_size": 16}, "targets": ["Linear"]}}})
quantized("llama-fp8-modelopt", lambda n, r, c: [(n + ".weight", "F8_E4M3", [r, c]), (n + ".weight_scale", "F32", []),
                                                 (n + ".input_scale", "F32", [])],
          {"quant_method": "modelopt", "quant_algo": "FP8", "producer": {"name": "modelopt"}})
quantized("llama-inv-freq", lambda n, r, c: [(n + ".weight", "F16", [r, c])] + ([(n[:-6] + "rotary_emb.inv_freq", "F32", [8])]
          if n.endswith("q_proj") else []), None)


def gpt_oss_mxfp4(experts=4, hidden=64, ff=64, layers=2):
    rows = [("model.embed_tokens.weight", "BF16", [512, hidden]), ("model.norm.weight", "BF16", [hidden]), ("lm_head.weight", "BF16", [512, hidden])]
    for i in range(layers):
        at = f"model.layers.{i}."
        for name, out, into in (("q_proj", 64, hidden), ("k_proj", 32, hidden), ("v_proj", 32, hidden), ("o_proj", hidden, 64)):
            rows += [(f"{at}self_attn.{name}.weight", "BF16", [out, into]), (f"{at}self_attn.{name}.bias", "BF16", [out])]
        rows += [(at + "self_attn.sinks", "BF16", [4]), (at + "input_layernorm.weight", "BF16", [hidden]),
                 (at + "post_attention_layernorm.weight", "BF16", [hidden]), (at + "mlp.router.weight", "BF16", [experts, hidden]),
                 (at + "mlp.router.bias", "BF16", [experts]),
                 (at + "mlp.experts.gate_up_proj_blocks", "U8", [experts, 2 * ff, hidden // 32, 16]),
                 (at + "mlp.experts.gate_up_proj_scales", "U8", [experts, 2 * ff, hidden // 32]),
                 (at + "mlp.experts.gate_up_proj_bias", "BF16", [experts, 2 * ff]),
                 (at + "mlp.experts.down_proj_blocks", "U8", [experts, hidden, ff // 32, 16]),
                 (at + "mlp.experts.down_proj_scales", "U8", [experts, hidden, ff // 32]),
                 (at + "mlp.experts.down_proj_bias", "BF16", [experts, hidden])]
    return rows


case("gpt-oss-20b", None, {"architectures": ["GptOssForCausalLM"], "model_type": "gpt_oss", **dims(ff=64, num_key_value_heads=2),
     "head_dim": 16, "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 32, "rope_theta": 150000,
     "rope_scaling": {"rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0, "truncate": False,
                      "original_max_position_embeddings": 4096},
     "quantization_config": {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn"]}}, "qwen-tok",
     tensors=gpt_oss_mxfp4())

# DeepSeek: FP8 with a layer of multi-token prediction; the first DeepSeek MoE, whose class transformers lacks.
case("DeepSeek-V3-fp8-mtp", "DeepseekV3ForCausalLM", dims(num_key_value_heads=4, n_group=2, topk_group=1, **MLA), "deepseek-tok",
     edit={"config.json": put(num_nextn_predict_layers=1, scoring_func="sigmoid", quantization_config={
         "quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", "weight_block_size": [128, 128]})},
     retensor=lambda rows: [r for n, d, s in rows for r in (
         [(n, "F8_E4M3", s), (n + "_scale_inv", "F32", [-(-s[0] // 128), -(-s[1] // 128)])] if "_proj" in n else [(n, d, s)])] + [
         ("model.layers.2.eh_proj.weight", "BF16", [64, 128]), ("model.layers.2.enorm.weight", "BF16", [64]),
         ("model.layers.2.shared_head.head.weight", "BF16", [512, 64])])


def deepseek1():
    rows = llama_tensors(lambda n, r, c: [(n + ".weight", "BF16", [r, c])] if ".layers.0." in n or "self_attn" in n else [], kv=64)
    for e in range(4):
        for p, s in (("gate_proj", [32, 64]), ("up_proj", [32, 64]), ("down_proj", [64, 32])):
            rows.append((f"model.layers.1.mlp.experts.{e}.{p}.weight", "BF16", s))
    for p, s in (("gate_proj", [64, 64]), ("up_proj", [64, 64]), ("down_proj", [64, 64])):
        rows.append((f"model.layers.1.mlp.shared_experts.{p}.weight", "BF16", s))
    return rows + [("model.layers.1.mlp.gate.weight", "BF16", [4, 64])]


case("deepseek-moe-16b", None, {"architectures": ["DeepseekForCausalLM"], "model_type": "deepseek", **dims(num_key_value_heads=4),
     "n_routed_experts": 4, "n_shared_experts": 2, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "first_k_dense_replace": 1,
     "moe_layer_freq": 1, "norm_topk_prob": False, "scoring_func": "softmax", "rms_norm_eps": 1e-6, "rope_theta": 10000, "rope_scaling": None,
     "bos_token_id": 0, "eos_token_id": 1}, "llama3-tok", tensors=deepseek1())


def nomic(layers=2, hidden=64, inner=128, vocab=300):
    rows = [("embeddings.word_embeddings.weight", "F32", [vocab, hidden]), ("embeddings.token_type_embeddings.weight", "F32", [2, hidden]),
            ("emb_ln.weight", "F32", [hidden]), ("emb_ln.bias", "F32", [hidden])]
    for i in range(layers):
        at = f"encoder.layers.{i}."
        rows += [(at + "attn.Wqkv.weight", "F32", [3 * hidden, hidden]), (at + "attn.out_proj.weight", "F32", [hidden, hidden]),
                 (at + "mlp.fc11.weight", "F32", [inner, hidden]), (at + "mlp.fc12.weight", "F32", [inner, hidden]),
                 (at + "mlp.fc2.weight", "F32", [hidden, inner])]
        for n in ("norm1", "norm2"):
            rows += [(f"{at}{n}.weight", "F32", [hidden]), (f"{at}{n}.bias", "F32", [hidden])]
    return rows


NOMIC = {"architectures": ["NomicBertModel"], "model_type": "nomic_bert", "n_embd": 64, "n_head": 4, "n_inner": 128, "n_layer": 2,
         "n_positions": 8192, "vocab_size": 300, "activation_function": "swiglu", "causal": False, "qkv_proj_bias": False,
         "mlp_fc1_bias": False, "mlp_fc2_bias": False, "prenorm": False, "rotary_emb_fraction": 1.0, "rotary_emb_interleaved": False,
         "rotary_emb_scale_base": None, "rotary_emb_base": 1000, "layer_norm_epsilon": 1e-12, "type_vocab_size": 2, "max_trained_positions": 2048}
POOLING = {"modules.json": [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
                            {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}],
           "1_Pooling/config.json": {"word_embedding_dimension": 64, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}}
case("nomic-embed-text-v1.5", None, NOMIC, "word-piece", tensors=nomic(), edit=POOLING)
case("nomic-embed-text-v1", None, {**NOMIC, "max_trained_positions": None}, "word-piece", tensors=nomic())

# What transformers 5 writes, and special tokens that only the tokenizer's class names.
case("qwen2-tokenizers-backend", "Qwen2ForCausalLM", dims(), "qwen-tok", edit={"tokenizer_config.json": put(tokenizer_class="TokenizersBackend")})
case("llama3-llama-class", "LlamaForCausalLM", dims(), "llama3-tok", edit={"tokenizer_config.json": put(tokenizer_class="LlamaTokenizerFast")})
case("llama3-null-unk", "LlamaForCausalLM", dims(), "llama3-tok", edit={"tokenizer_config.json": put(
    tokenizer_class="LlamaTokenizer", unk_token=None, pad_token="<|finetune_right_pad_id|>", additional_special_tokens=["<|extra|>", "<s>"])})
case("llama3-class-full-vocab", "LlamaForCausalLM", dims(vocab=341), "llama3-tok", edit={"tokenizer_config.json": put(
    tokenizer_class="LlamaTokenizerFast")})
case("gpt2-no-config", "GPT2LMHeadModel", {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 128, "vocab_size": 400, "n_ctx": 128},
     "gpt2-tok", edit={"tokenizer_config.json": None})
case("qwen2-no-config", "Qwen2ForCausalLM", dims(), "llama3-tok", edit={"tokenizer_config.json": None})
case("qwen2-special-map", "Qwen2ForCausalLM", dims(), "llama3-tok", edit={
    "tokenizer_config.json": lambda v: {"tokenizer_class": "Qwen2Tokenizer", "bos_token": None},
    "special_tokens_map.json": {"bos_token": "<|begin_of_text|>", "eos_token": {"content": "<|im_end|>", "lstrip": False},
                                "additional_special_tokens": ["<|im_start|>"]}})

# ---- more families ----
case("olmo-1b", "OlmoForCausalLM", dims(num_key_value_heads=2, clip_qkv=8.0), "gpt2-tok")
case("olmo-tied", "OlmoForCausalLM", dims(96, 2, 4, 200, tie_word_embeddings=True), "gpt2-tok", dtype="float32")
case("OLMo-2-1B", "Olmo2ForCausalLM", dims(num_key_value_heads=2), "gpt2-tok")
case("Olmo-3-7B", "Olmo3ForCausalLM", dims(layers=4, num_key_value_heads=2, sliding_window=32), "gpt2-tok")
case("OLMoE-1B-7B", "OlmoeForCausalLM", dims(ff=32, num_key_value_heads=2, num_experts=4, num_experts_per_tok=2), "gpt2-tok")
case("stablelm-2-1_6b", "StableLmForCausalLM", dims(num_key_value_heads=4, use_qkv_bias=True), "gpt2-tok")
case("stablelm-2-12b", None, {"architectures": ["StableLmForCausalLM"], "model_type": "stablelm", **dims(num_key_value_heads=2),
     "qk_layernorm": True, "use_parallel_residual": True, "rope_theta": 10000, "layer_norm_eps": 1e-5, "partial_rotary_factor": 0.25},
     "gpt2-tok", tensors=llama_tensors(lambda n, r, c: [(n + ".weight", "BF16", [r, c])] + [
         (f"{n.replace('_proj', '_layernorm')}.norms.{h}.weight", "BF16", [16]) for h in range({"q": 4, "k": 2}.get(n[-6], 0))
         if n.endswith(("q_proj", "k_proj"))]))
case("bloom-560m", "BloomForCausalLM", {"hidden_size": 64, "n_layer": 2, "n_head": 4, "vocab_size": 512}, "gpt2-tok")
case("bloomz-untied", "BloomForCausalLM", {"hidden_size": 96, "n_layer": 2, "n_head": 4, "vocab_size": 350, "tie_word_embeddings": False},
     "gpt2-tok", dtype="float16", edit={"config.json": put(seq_length=2048)})
case("starcoder", "GPTBigCodeForCausalLM", {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 128, "vocab_size": 400}, "gpt2-tok")
case("granite-3.3-2b", "GraniteForCausalLM", dims(num_key_value_heads=2, attention_multiplier=0.015, embedding_multiplier=12.0,
     residual_multiplier=0.22, logits_scaling=8.0, tie_word_embeddings=True), "gpt2-tok")
case("granite-head-dim", "GraniteForCausalLM", dims(num_key_value_heads=2, attention_bias=True, mlp_bias=True), "gpt2-tok", dtype="float32",
     edit={"config.json": put(head_dim=16)})
case("granite-3.1-1b-a400m", "GraniteMoeForCausalLM", dims(ff=48, num_key_value_heads=2, num_local_experts=4, num_experts_per_tok=2), "gpt2-tok")
case("granite-moe-shared", "GraniteMoeSharedForCausalLM", dims(ff=48, num_key_value_heads=2, num_local_experts=4, num_experts_per_tok=2,
     shared_intermediate_size=96), "gpt2-tok")
case("c4ai-command-r-v01", "CohereForCausalLM", dims(num_key_value_heads=2), "gpt2-tok")
case("command-r-plus", "CohereForCausalLM", dims(96, 2, 4, 200, use_qk_norm=True, model_max_length=4096), "gpt2-tok",
     edit={"config.json": put(model_max_length=4096)})
case("command-r7b", "Cohere2ForCausalLM", dims(layers=4, num_key_value_heads=2, sliding_window=32), "gpt2-tok", edit={"config.json": put(rotary_pct=1.0)})
case("cohere2-no-pct", "Cohere2ForCausalLM", dims(layers=4, num_key_value_heads=2, sliding_window=32), "gpt2-tok")
case("GLM-4-9B-0414", "Glm4ForCausalLM", dims(num_key_value_heads=2, head_dim=16, pad_token_id=0), "glm-tok")
case("glm4-bias", "Glm4ForCausalLM", dims(96, 2, 4, 160, num_key_value_heads=2, head_dim=32, attention_bias=True, partial_rotary_factor=0.25, pad_token_id=0),
     "glm-tok")
case("glm4-other-tok", "Glm4ForCausalLM", dims(num_key_value_heads=2, head_dim=16, pad_token_id=0), "llama3-tok")
case("SmolLM3-3B", "SmolLM3ForCausalLM", dims(layers=4, num_key_value_heads=2, no_rope_layer_interval=4, pad_token_id=2, tie_word_embeddings=True), "llama3-tok")
case("AFM-4.5B", "ArceeForCausalLM", dims(num_key_value_heads=2, rope_scaling={"rope_type": "yarn", "factor": 20.0,
     "original_max_position_embeddings": 64}), "llama3-tok")
case("Seed-OSS-36B", "SeedOssForCausalLM", dims(num_key_value_heads=2, head_dim=32, attention_out_bias=False), "qwen-tok")
case("Phi-3.5-MoE-instruct", "PhimoeForCausalLM", dims(num_key_value_heads=2, num_local_experts=4, num_experts_per_tok=2,
     original_max_position_embeddings=64, rope_scaling={"type": "longrope", "short_factor": [1.0] * 8, "long_factor": [2.0] * 8,
     "short_mscale": 1.2, "long_mscale": 1.2, "original_max_position_embeddings": 64}), "phi3-spm",
     edit={"config.json": put(architectures=["PhiMoEForCausalLM"])})
case("EXAONE-4.0-1.2B", "Exaone4ForCausalLM", dims(layers=4, num_key_value_heads=2, sliding_window=32, sliding_window_pattern=4,
     rope_scaling={"rope_type": "llama3", "factor": 16.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
                   "original_max_position_embeddings": 128}), "gpt2-tok")
case("exaone4-full", "Exaone4ForCausalLM", dims(num_key_value_heads=2, sliding_window=None, layer_types=["full_attention"] * 2, tie_word_embeddings=True), "gpt2-tok")
case("ERNIE-4.5-0.3B", "Ernie4_5ForCausalLM", dims(num_key_value_heads=2, head_dim=16, tie_word_embeddings=True), "llama-spm")
case("Nemotron-Mini", "NemotronForCausalLM", dims(num_key_value_heads=2, head_dim=16), "llama-spm")
case("Mistral-Small-3.1", "Mistral3ForConditionalGeneration", {"text_config": {"model_type": "mistral", **dims(num_key_value_heads=2, head_dim=32)},
     "vision_config": {"model_type": "pixtral", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2,
                       "image_size": 28, "patch_size": 14}}, "llama3-tok")
case("Qwen2-VL-2B", "Qwen2VLForConditionalGeneration", {"text_config": dims(num_key_value_heads=2, rope_scaling={
     "type": "mrope", "mrope_section": [2, 3, 3]}), "vision_config": {"depth": 1, "embed_dim": 32, "num_heads": 2, "hidden_size": 64}}, "qwen-tok")
case("Qwen2.5-VL-3B", "Qwen2_5_VLForConditionalGeneration", {"text_config": dims(num_key_value_heads=2, tie_word_embeddings=True, rope_scaling={
     "type": "mrope", "mrope_section": [2, 3, 3]}), "vision_config": {"depth": 1, "hidden_size": 32, "num_heads": 2, "out_hidden_size": 64,
                                                                     "intermediate_size": 64}}, "qwen-tok")
case("Qwen3-VL-4B", "Qwen3VLForConditionalGeneration", {"text_config": dims(num_key_value_heads=2, head_dim=32, rope_scaling={
     "rope_type": "default", "mrope_section": [4, 6, 6]}), "vision_config": {"depth": 3, "hidden_size": 32, "num_heads": 2,
     "out_hidden_size": 64, "intermediate_size": 64, "deepstack_visual_indexes": [0, 1], "num_position_embeddings": 16}}, "qwen-tok")
case("Qwen3-VL-30B-A3B", "Qwen3VLMoeForConditionalGeneration", {"text_config": dims(num_key_value_heads=2, head_dim=32, num_experts=4,
     num_experts_per_tok=2, moe_intermediate_size=32, rope_scaling={"rope_type": "default", "mrope_section": [4, 6, 6]}),
     "vision_config": {"depth": 3, "hidden_size": 32, "num_heads": 2, "out_hidden_size": 64, "intermediate_size": 64,
                       "deepstack_visual_indexes": [0, 1], "num_position_embeddings": 16}}, "qwen-tok")
case("embeddinggemma-300m", "Gemma3TextModel", dims(num_key_value_heads=1, head_dim=32, sliding_window=32, use_bidirectional_attention=True),
     "gemma-spm", edit=POOLING)
case("sentence-t5", "T5EncoderModel", T5, "t5-uni", dtype="float32")
case("distilbert-base", "DistilBertModel", {"vocab_size": 300, "dim": 64, "n_layers": 2, "n_heads": 4, "hidden_dim": 128,
     "max_position_embeddings": 128}, "word-piece", dtype="float32")
case("distilbert-mlm", "DistilBertForMaskedLM", {"vocab_size": 300, "dim": 64, "n_layers": 2, "n_heads": 4, "hidden_dim": 128,
     "max_position_embeddings": 128}, "word-piece")
case("roberta-base", "RobertaModel", dims(vocab=400, type_vocab_size=1), "roberta-tok", dtype="float32")
case("roberta-classifier", "RobertaForSequenceClassification", dims(vocab=400, type_vocab_size=1, num_labels=3), "roberta-tok")
case("ModernBERT-base", "ModernBertModel", {**dims(vocab=400), "local_attention": 32, "global_attn_every_n_layers": 2, "pad_token_id": 0,
     "cls_token_id": 1, "sep_token_id": 2, "bos_token_id": 1, "eos_token_id": 2}, "gpt2-tok")
case("mamba2-130m", "Mamba2ForCausalLM", {"hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 400, "state_size": 16, "head_dim": 16,
     "num_heads": 8, "n_groups": 1, "expand": 2}, "gpt2-tok")
case("falcon-mamba-7b", "FalconMambaForCausalLM", {"hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 400, "state_size": 16}, "gpt2-tok")
case("llava-1.5", "LlavaForConditionalGeneration", {"text_config": {"model_type": "llama", **dims(num_key_value_heads=2)},
     "vision_config": {"model_type": "clip_vision_model", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1,
                       "num_attention_heads": 2, "image_size": 28, "patch_size": 14}}, "llama-spm")
case("LlamaModel", "LlamaModel", dims(num_key_value_heads=2), "llama3-tok")
case("Qwen2Model", "Qwen2Model", dims(num_key_value_heads=2), "qwen-tok", edit=POOLING)
case("Qwen3-Embedding", "Qwen3Model", dims(num_key_value_heads=2, head_dim=32), "qwen-tok", edit={**POOLING, "1_Pooling/config.json": {
    "word_embedding_dimension": 64, "pooling_mode_lasttoken": True}})
case("GLM-4.5-Air", "Glm4MoeForCausalLM", dims(layers=3, num_key_value_heads=2, head_dim=16, n_routed_experts=4, num_experts_per_tok=2, n_shared_experts=1,
     moe_intermediate_size=32, first_k_dense_replace=1, use_qk_norm=True), "glm-tok", edit={"config.json": put(num_nextn_predict_layers=0)})
case("dots.llm1", "Dots1ForCausalLM", dims(num_key_value_heads=2, head_dim=16, n_routed_experts=4, num_experts_per_tok=2, n_shared_experts=1,
     moe_intermediate_size=32, first_k_dense_replace=1), "qwen-tok")
for _name in ("olmo-1b", "OLMo-2-1B", "Olmo-3-7B", "OLMoE-1B-7B", "stablelm-2-1_6b", "bloom-560m", "starcoder", "granite-3.3-2b", "granite-moe-shared",
              "c4ai-command-r-v01", "GLM-4-9B-0414", "SmolLM3-3B", "AFM-4.5B", "Seed-OSS-36B", "Phi-3.5-MoE-instruct", "exaone4-full",
              "ERNIE-4.5-0.3B", "Nemotron-Mini", "distilbert-base", "roberta-base", "Qwen2.5-VL-3B", "Qwen3-VL-4B", "Qwen3-VL-30B-A3B"):
    sparse(_name)

# Layers of multi-token prediction that are kept, text parts without a class, NVFP4 of experts, classes that transformers lacks.
case("GLM-4.5-mtp", "Glm4MoeForCausalLM", dims(num_key_value_heads=2, head_dim=16, n_routed_experts=2, num_experts_per_tok=1, n_shared_experts=1,
     moe_intermediate_size=32, first_k_dense_replace=1), "glm-tok", edit={"config.json": put(num_nextn_predict_layers=1)},
     retensor=lambda rows: rows + [(n.replace("layers.1.", "layers.2."), d, s) for n, d, s in rows if "layers.1." in n] + [
         ("model.layers.2.eh_proj.weight", "BF16", [64, 128]), ("model.layers.2.enorm.weight", "BF16", [64]),
         ("model.layers.2.hnorm.weight", "BF16", [64]), ("model.layers.2.shared_head.norm.weight", "BF16", [64]),
         ("model.layers.2.shared_head.head.weight", "BF16", [512, 64]), ("model.layers.2.embed_tokens.weight", "BF16", [512, 64])])


def flat(value):
    """The text part's keys at the root, as older files have them."""
    text = value.pop("text_config")
    return {**{k: v for k, v in text.items() if k not in ("model_type", "architectures")}, **value,
            "architectures": ["Qwen2VLForConditionalGeneration" if value["model_type"] == "qwen2_vl" else "Qwen2_5_VLForConditionalGeneration"],
            "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]}}


for _name in ("Qwen2-VL-2B", "Qwen2.5-VL-3B"):
    _base = next(c for c in CASES if c["name"] == _name)
    CASES.append({**_base, "name": _name + "-flat", "edit": {"config.json": flat}})
case("llava-1.5-7b-hf", "LlavaForConditionalGeneration", {"text_config": {"model_type": "llama", **dims(num_key_value_heads=4)},
     "vision_config": {"model_type": "clip_vision_model", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1,
                       "num_attention_heads": 2, "image_size": 28, "patch_size": 14}}, "llama-spm",
     edit={"config.json": lambda v: v.update(text_config={**dims(), "architectures": ["LlamaForCausalLM"]})})
case("Ministral-3-3B", None, {"architectures": ["Ministral3ForCausalLM"], "model_type": "ministral3", **dims(num_key_value_heads=2), "head_dim": 16,
     "rms_norm_eps": 1e-5, "rope_parameters": {"rope_type": "yarn", "rope_theta": 1000000.0, "factor": 16.0, "beta_fast": 32.0, "beta_slow": 1.0,
     "mscale": 1.0, "mscale_all_dim": 1.0, "llama_4_scaling_beta": 0.1, "original_max_position_embeddings": 128}}, "llama3-tok",
     tensors=llama_tensors(lambda n, r, c: [(n + ".weight", "BF16", [r, c])]))


def nvfp4_experts():
    rows = [r for r in llama_tensors(lambda n, r, c: [(n + ".weight", "BF16", [r, c])] if "self_attn" in n else [])]
    for layer in range(2):
        rows.append((f"model.layers.{layer}.mlp.gate.weight", "BF16", [4, 64]))
        rows += [(f"model.layers.{layer}.self_attn.{x}_norm.weight", "BF16", [16]) for x in "qk"]
        for e in range(4):
            for p, r, c in (("gate_proj", 64, 64), ("up_proj", 64, 64), ("down_proj", 64, 64)):
                rows += nvfp4(f"model.layers.{layer}.mlp.experts.{e}.{p}", r, c)
    return rows


case("qwen3-moe-nvfp4", None, {"architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", **dims(num_key_value_heads=2), "head_dim": 16,
     "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64}, "qwen-tok", tensors=nvfp4_experts(),
     edit={"hf_quant_config.json": {"producer": {"name": "modelopt", "version": "0.30"}, "quantization": {"quant_algo": "NVFP4",
           "kv_cache_quant_algo": None, "group_size": 16, "exclude_modules": ["lm_head"]}}})
quantized("llama-nvfp4-odd-rows", lambda n, r, c: nvfp4(n, r, c) if "self_attn" in n else [(n + ".weight", "U8", [r, 24]),
          (n + ".weight_scale", "F8_E4M3", [r, 3]), (n + ".weight_scale_2", "F32", [])], {"quant_method": "modelopt", "quant_algo": "NVFP4"})
for _name in ("embeddinggemma-300m", "llava-1.5", "Mistral-Small-3.1", "ModernBERT-base", "dots.llm1", "EXAONE-4.0-1.2B", "GLM-4.5-Air", "mamba2-130m",
              "sentence-t5", "command-r7b"):
    sparse(_name)

# Sizes that fill no blocks, many shards, F16 and F32 sources of what is mostly BF16.
case("qwen3-odd-widths", "Qwen3ForCausalLM", dims(80, 2, 4, 208, num_key_value_heads=2, head_dim=20), "qwen-tok", dtype="float16")
case("mixtral-odd-widths", "MixtralForCausalLM", dims(72, 2, 4, 100, num_key_value_heads=2, num_local_experts=3, num_experts_per_tok=2),
     "llama-hf", dtype="float16")
case("gemma2-sharded", "Gemma2ForCausalLM", dims(96, 3, 4, 200, num_key_value_heads=4, head_dim=24, sliding_window=64), "gemma-spm", dtype="float32",
     shard="100KB")
case("phi3-wide-256", "Phi3ForCausalLM", dims(256, 2, 4, 512, pad_token_id=0, num_key_value_heads=2, sliding_window=2047), "phi3-spm", shard="300KB")
case("falcon-wide-256", "FalconForCausalLM", {"hidden_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 512,
     "num_kv_heads": 1, "new_decoder_architecture": True, "num_ln_in_parallel_attn": 1}, "gpt2-tok", dtype="float16")
case("deepseek3-wide", "DeepseekV3ForCausalLM", dims(256, 3, 4, 512, num_key_value_heads=4, n_group=1, topk_group=1, **{
     **MLA, "kv_lora_rank": 64, "q_lora_rank": None}), "deepseek-tok")
case("DeepSeek-R1-Distill-Qwen-1.5B", "Qwen2ForCausalLM", dims(num_key_value_heads=2), "deepseek-tok",
     edit={"tokenizer_config.json": put(unk_token=None, legacy=True)})
case("gpt-oss-tied", "GptOssForCausalLM", dims(96, 2, 4, 96, head_dim=16, num_key_value_heads=2, num_local_experts=3, num_experts_per_tok=1,
     tie_word_embeddings=True, sliding_window=32), "gpt2-tok", dtype="float32")
case("starcoder2-wide", "Starcoder2ForCausalLM", dims(256, 1, 4, 1024, num_key_value_heads=2), "gpt2-tok", dtype="float32")

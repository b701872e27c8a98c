"""Unfolds the checkpoints that stand in `fixtures` as records, and the ones of a folder of heads, into files and folders."""

import json
import shutil
import tarfile

from .heads import GGML_IDS, ROOT, gguf, safetensors, sparse, whole

FIXTURES = ROOT / "fixtures"


def load(path):
    return json.loads(path.read_text(encoding="utf-8"))


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def plain(name):
    """A name of a record as one of a file."""
    return name.replace(", ", "-").replace(" ", "-").replace("/", "-")


# Records of `fixtures` ------------------------------------------------------------------------------------------------------

def families(out):
    """`families/records`: configuration, tokenizer, and the tensors of every weight file."""
    source = FIXTURES / "families"
    for path in sorted((source / "records").glob("*.json")):
        record, folder = load(path), out / path.stem
        folder.mkdir(parents=True, exist_ok=True)
        if kind := record.get("tokenizer"):
            for file in (source / "tokenizers" / kind).iterdir():
                if file.name not in (record.get("without") or []):
                    shutil.copyfile(file, folder / file.name)
        for name, content in record["files"].items():
            put(folder / name, content)
        for name, file in record["sources"].items():
            safetensors(folder / name, file["tensors"], file.get("metadata"))


def schemes(out):
    """`hf/schemes.jsonl`: models as the quantization tools wrote them; a row with layers stands for one tensor a layer."""
    bases = {}
    for line in (FIXTURES / "hf" / "schemes.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["scheme"] == "base":
            bases[row["base"]] = row["config"]
        config = bases[row["base"]] | row["config"] | row.get("changes", {})
        tensors = []
        for name, dtype, shape, *layers in row["tensors"]:
            for layer in layers[0] if layers else [None]:
                tensors.append((name if layer is None else name.replace("#", str(layer), 1), dtype, shape))
        folder = out / plain(row["base"]) / plain(row["scheme"])
        put(folder / "config.json", config)
        safetensors(folder / "model.safetensors", tensors, {"format": "pt"})


def memory_models(out):
    """`memory/models.json` and `memory/families.json`: keys and tensors of GGUF files; ranges stand for the blocks of a name."""
    for models in (load(FIXTURES / "memory" / "models.json"), load(FIXTURES / "memory" / "families.json")["models"]):
        for name, row in models.items():
            tensors = []
            for tensor, kind, shape, ranges in row["tensors"]:
                for block in [n for a, b in ranges for n in range(a, b + 1)] if ranges else [None]:
                    tensors.append((tensor if block is None else tensor.replace("*", str(block), 1), kind, shape))
            gguf(out / f"{plain(name)}.gguf", row["keys"], tensors)


def quantized_models(out):
    """`gguf-project/llama_quantize.json`: the models that `llama-quantize` was given; shapes have the fastest dimension first."""
    for name, row in load(FIXTURES / "gguf-project" / "llama_quantize.json")["models"].items():
        tensors = []
        for tensor, layers, shape, dtype in row["groups"]:
            for layer in numbers(layers):
                tensors.append((tensor if layer is None else tensor.replace("{}", str(layer)), GGML_IDS[dtype], shape))
        gguf(out / f"{plain(name)}.gguf", row["metadata"], tensors)


def numbers(text):
    if not text:
        return [None]
    if "-" in text:
        first, last = text.split("-")
        return range(int(first), int(last) + 1)
    return [int(n) for n in text.split(",")]


def structured(out):
    """`prune/structured.json`: configurations and shapes of models that cuts were made of."""
    for i, row in enumerate(load(FIXTURES / "prune" / "structured.json")["models"]):
        folder = out / f"{plain(row['family'])}-{i:02}"
        put(folder / "config.json", row["config"])
        safetensors(folder / "model.safetensors", [(n, "BF16", s) for n, s in row["shapes"].items()], {"format": "pt"})


def bare(out):
    """`hf-project/families.json`: the tensors of the base models, without a configuration."""
    for name, row in load(FIXTURES / "hf-project" / "families.json")["bases"].items():
        safetensors(out / plain(name) / "model.safetensors", [t[:3] for t in row["tensors"]], {"format": "pt"})


RECORDS = {"families": families, "schemes": schemes, "memory": memory_models, "quantized": quantized_models,
           "structured": structured, "bare": bare}


# Folders of heads -----------------------------------------------------------------------------------------------------------

def with_heads(source, out):
    """Copies a folder; every `NAME.head` in it becomes a whole file NAME. Answers and descriptions stay behind."""
    for path in sorted(source.rglob("*")):
        if not path.is_file() or path.name == "truth.json":
            continue
        target = out / path.relative_to(source)
        if path.suffix == ".head":
            whole(path, target.with_suffix(""))
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def archive(source, out):
    """An archive of JSON documents, one a checkpoint: `files` by name, `heads` as [bytes of the file, header], a shared tokenizer
    below `toks/` in `tok`; or one model as `config`, `size` and `head`."""
    with tarfile.open(source) as tar:
        members = {m.name: tar.extractfile(m).read() for m in tar if m.isfile()}
    for name, data in sorted(members.items()):
        if not name.endswith(".json") or name.startswith("toks/"):
            continue
        doc, folder = json.loads(data), out / name.rsplit("/", 1)[-1].removesuffix(".json")
        files = dict(doc.get("files", {}))
        heads = dict(doc.get("heads", {}))
        if "head" in doc:
            files["config.json"], heads["model.safetensors"] = doc["config"], [doc["size"], doc["head"]]
        if kind := doc.get("tok"):
            files |= {n.rsplit("/", 1)[1]: d for n, d in members.items() if n.startswith(f"toks/{kind}/")}
        for file, content in files.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
        for file, (size, head) in heads.items():
            raw = head.encode()
            sparse(folder / file, len(raw).to_bytes(8, "little") + raw, size)


def tool_outputs(source, out):
    """NAME.json with NAME.safetensors.head is a base model, NAME/SCHEME.json what a tool made of it (`files`, `tensors`, `config`)."""
    for head in sorted(source.glob("*.safetensors.head")):
        name = head.name.removesuffix(".safetensors.head")
        base = load(source / f"{name}.json")
        put(out / name / "base" / "config.json", base["config"])
        whole(head, out / name / "base" / "model.safetensors")
        for path in sorted((source / name).glob("*.json")):
            doc = load(path)
            folder = out / name / path.stem
            put(folder / "config.json", base["config"] | doc.get("config_changes", {}) | doc["config"])
            rows, at = doc["tensors"], 0
            for file in doc["files"]:
                part = rows[at:at + file["tensors"]]
                at += file["tensors"]
                safetensors(folder / file["name"], [t[:3] for t in part], doc.get("metadata"))


def truth(source, out):
    """Whatever of these forms stands below a folder; gives how many of each it found."""
    found = {}
    for path in sorted(source.rglob("*heads.tar.xz")):
        name = "-".join(path.relative_to(source).parts).removesuffix(".tar.xz")
        archive(path, out / name)
        found[name] = sum(1 for _ in (out / name).iterdir())
    folders = sorted({p.parent for p in source.rglob("*.head")})
    for folder in folders:
        relative = folder.relative_to(source)
        if (folder / "index.json").is_file():
            tool_outputs(folder, out / relative)
            found[str(relative)] = sum(1 for _ in (out / relative).glob("*/*"))
        else:
            with_heads(folder, out / relative)
            found[str(relative)] = sum(1 for _ in folder.glob("*.head"))
    return found

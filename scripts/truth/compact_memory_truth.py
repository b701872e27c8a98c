#!/usr/bin/env python3
"""Makes fixtures/memory/ from the full record of llama.cpp memory breakdowns and the heads of the models that were measured.

usage: compact_memory_truth.py RECORD.json FOLDER GGUF... ; RECORD.json is llama_memory.json, the GGUFs (or their heads, NAME.gguf.head) are
the measured models.

llama_memory.json: per model the bytes of its weights, and per row the settings with the bytes of the cache (or the error) and of the
compute buffer; the runs whose resident memory was sampled. cfg is n_ctx:n_ubatch:n_batch:n_seq_max:kv_unified:type_k:type_v:flash_attn:swa_full.
models.json: per model its numeric keys and its tensors, those of blocks folded: [name, ggml type, dimensions fastest first, [first, last] block...].
Needs only the standard library."""
import json
import pathlib
import re
import struct
import sys

SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        (value,) = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return value

    def text(self):
        n = self.take("<Q")
        self.at += n
        return self.data[self.at - n : self.at].decode("utf-8", "replace")

    def value(self, kind):
        if kind == 8:
            return self.text()
        if kind == 9:
            element, n = self.take("<I"), self.take("<Q")
            return [self.value(element) for _ in range(n)]
        return self.take(SCALARS[kind])


def head(path):
    r = Reader(open(path, "rb").read(32 << 20))
    assert r.take("<4s") == b"GGUF" and r.take("<I") == 3
    tensors, count = r.take("<q"), r.take("<q")
    keys = {}
    for _ in range(count):
        name = r.text()
        keys[name] = r.value(r.take("<I"))
    infos = []
    for _ in range(tensors):
        name, dims = r.text(), r.take("<I")
        shape = [r.take("<Q") for _ in range(dims)]
        infos.append((name, r.take("<I"), shape))
        r.take("<Q")
    return keys, infos


def folded(infos):
    """Tensors of blocks that are alike but for the block's number become one row."""
    rows = {}
    for name, kind, shape in infos:
        match = re.match(r"blk\.(\d+)\.(.*)", name)
        key = (f"blk.*.{match[2]}" if match else name, kind, tuple(shape))
        rows.setdefault(key, []).append(int(match[1]) if match else None)
    out = []
    for (name, kind, shape), blocks in rows.items():
        ranges = []
        for block in blocks:
            if block is None:
                continue
            if ranges and ranges[-1][1] == block - 1:
                ranges[-1][1] = block
            else:
                ranges.append([block, block])
        out.append([name, kind, list(shape), ranges])
    return out


def texts(value):
    return isinstance(value, str) or (isinstance(value, list) and any(isinstance(v, str) for v in value))


def kept_keys(keys):
    out = {}
    for name, value in keys.items():
        if name.startswith("tokenizer.") and isinstance(value, list):
            if name == "tokenizer.ggml.tokens":
                out["tokens"] = len(value)
        elif not name.startswith("tokenizer.") and (name == "general.architecture" or not texts(value)):
            out[name] = value
    return out


def main(record_path, folder, *ggufs):
    record = json.load(open(record_path))
    compact = lambda value: json.dumps(value, separators=(",", ":"))
    lines = []
    for name, model in record["models"].items():
        row = lambda r: [r["cfg"], r["context"] if "context" in r else r["error"], r.get("compute")]
        kept = {
            "model_bytes": model["model_bytes"],
            "hparams": {k: v for k, v in (model.get("hparams") or {}).items() if k != "name"},
            "rows": [row(r) for r in model["rows"]],
            "server_rows": [row(r) for r in model["server_mode_rows"]],
        }
        lines.append(f" {json.dumps(name)}: {compact(kept)}")
    fields = ("model", "tag", "args", "VmHWM_kib", "peak_RssAnon_kib", "peak_RssFile_kib")
    buffer = lambda log: {m[1]: float(m[2]) for l in log for m in [re.search(r"(AMX model|CPU_Mapped model|CPU model|output|compute) buffer size = +([\d.]+) MiB", l)] if m}
    runs = [{**{f: r[f] for f in fields}, "buffers_mib": buffer(r["log"])} for r in record["rss"]]
    about = {**{k: record["about"][k] for k in ("tool", "cfg", "fields")}, "rss": record["rss_about"]}
    folder = pathlib.Path(folder)
    text = '{"about": %s,\n"models": {\n%s\n},\n"rss": [\n%s\n]}\n'
    (folder / "llama_memory.json").write_text(text % (json.dumps(about), ",\n".join(lines), ",\n".join(" " + compact(r) for r in runs)))
    models = []
    for path in ggufs:
        name = pathlib.Path(path).name.split(".gguf")[0]
        keys, infos = head(path)
        models.append(f" {json.dumps(name)}: {compact({'keys': kept_keys(keys), 'tensors': folded(infos)})}")
    (folder / "models.json").write_text("{\n%s\n}\n" % ",\n".join(models))


if __name__ == "__main__":
    main(*sys.argv[1:])

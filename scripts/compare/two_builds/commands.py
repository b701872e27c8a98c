"""The command lines that an input is given, and the ones that need no input."""

from dataclasses import dataclass

# Engines by name, so that a build with further ones is asked the same.
ENGINES = "llama.cpp,vllm,transformers"
GGUF_TARGETS = "q4_k_m,q8_0,iq4_xs,gguf:f16,gguf:auto"
SERVED = "--ctx 32k --seqs 8 --kv-type q8_0 --server --fit 8GiB,2x24GiB"
PARALLEL = "--ctx 4096 --seqs 4 --kv-type fp8 --tp 2 --pp 2 --ep 2 --fit 2x80GiB"
TRAINED = "--train adam-mixed-18 --zero 3 --dp 8 --seq 2k --micro-batch 2 --fit 80GiB"
# Every so many-th input of a group gets the further command lines of the plan; in the full set those of `fixtures` all do.
FURTHER = 5


# Parts that a scan is made in before they are merged.
PARTS = 2


@dataclass(frozen=True)
class Case:
    """One command line. That of a merge has a path in place of the parts, which are scanned first: `merge PATH [OPTION OF SCAN]...`."""
    command: str
    arguments: tuple
    target: str
    """The input it is about, or the command line where there is none."""
    pattern: str = ""
    """The row of the plan that it was made of."""

    def parts(self):
        """The command lines that write the parts of a merge."""
        if self.command != "merge":
            return []
        options = self.arguments[1:self.arguments.index("--format")]
        return [("scan", *options, "--part", f"{i}/{PARTS}") for i in range(1, PARTS + 1)]

    def form(self):
        return self.arguments[self.arguments.index("--format") + 1] if "--format" in self.arguments else "text"

    def line(self):
        if parts := self.parts():
            scans = "; ".join(f"weigh {' '.join(map(quoted, p))} > {i}.json" for i, p in enumerate(parts, 1))
            files = " ".join(f"{i}.json" for i in range(1, PARTS + 1))
            return f"{scans}; weigh merge {files} {' '.join(self.arguments[self.arguments.index('--format'):])}"
        return " ".join(["weigh", *map(quoted, self.arguments)])


def quoted(argument):
    return "'" + argument.replace("'", "'\\''") + "'" if not argument or set(argument) & set(" *?'\"$`\\;&|<>()[]{}#~!\n\t") else argument


# What is asked: (only of inputs that ..., output forms, further ones, arguments); P is the input, BEFORE the one before it. "headers" is
# any input, "values" one whose values are read, "file" a file. Every input gets the output forms, a sample of the inputs the further
# ones as well: JSON has every figure, and the other forms print the same document.
JSON, BOTH, NONE = ("json",), ("json", "text"), ()
REST, ALL = ("csv", "markdown"), ("json", "text", "csv", "markdown")
PLAN = [
    ("headers", BOTH, REST, "show P --tensors --metadata --map"),
    ("headers", NONE, BOTH, "show P --by layer"),
    ("headers", NONE, ("text",), "show P --by dtype"),
    ("headers", NONE, ("text",), "show P --by role -v"),
    ("headers", NONE, JSON, "show P --by file"),
    ("headers", NONE, JSON, "show P --filter *weight*"),
    ("file", NONE, BOTH, "show P --only-this-file"),
    ("values", BOTH, REST, "scan P --tensors"),
    ("values", JSON, ("text", *REST), "scan P --stats full --tensors"),
    ("values", NONE, BOTH, "scan P --cast f16"),
    ("values", NONE, JSON, "scan P --cast f8_e4m3 --filter *weight* --tensors"),
    ("values", NONE, JSON, "scan P --io read --threads 1 --tensors"),
    ("values", NONE, BOTH, "merge P"),
    ("values", NONE, JSON, "merge P --stats full --tensors"),
    ("headers", BOTH, REST, "project P --to all"),
    ("headers", NONE, BOTH, "project P"),
    ("headers", NONE, JSON, "project P --to all --imatrix --group 32 --quantize-head --quantize-embedding"),
    ("headers", NONE, JSON, f"project P --to {GGUF_TARGETS} --pure --output-type q8_0 --embedding-type f16 --pre qwen2"),
    ("headers", JSON, NONE, f"project P --to {GGUF_TARGETS} --outtype bf16 --imatrix --pre llama-bpe"),
    ("headers", NONE, ("text",), "project P --to q4_k_m,int8 --explain model.embed_tokens.weight"),
    ("headers", JSON, ("text", *REST), "project P --prune 0.5,2:4,1:4,block=16x16:0.7,measured"),
    ("headers", JSON, ("text",), "project P --prune layers=1,heads=50%,ffn=25%,student=layers:2,hidden:64 --to int8"),
    ("values", NONE, BOTH, "project P --prune 0.5,0.7,measured --scan"),
    ("headers", JSON, ("text", *REST), "project P --shard huggingface:100KB,transformers:1MB,mlx:1MB,gguf-split:1MB"),
    ("headers", NONE, BOTH, "project P --to fp8,int4,nf4,q4_0 --fit 2x1MiB"),
    ("headers", BOTH, REST, f"memory P --engine {ENGINES}"),
    ("headers", JSON, ("text", *REST), f"memory P --engine {ENGINES} {SERVED} --kv-unified --explain"),
    ("headers", JSON, ("text",), f"memory P --engine {ENGINES} {PARALLEL}"),
    ("headers", JSON, ("text",), f"memory P --engine {ENGINES} --ctx 8k --batch 512 --ubatch 128 --flash-attention off --swa-full"
                                 " --no-repack --load-mode none --cpu-experts 1"),
    ("headers", JSON, ("text",), f"memory P {TRAINED} --recompute selective"),
    ("headers", NONE, JSON, "memory P --train adafactor --seq 512 --recompute none --fit 24GiB"),
    ("headers", NONE, ("text",), "memory P --train adam-8bit --tp 2 --recompute full --explain"),
    ("headers", NONE, JSON, "memory P --train qlora-8 --seq 1k"),
    ("headers", NONE, JSON, "memory P"),
    ("headers", ("json", "text", "sarif"), REST, "audit P"),
    ("values", JSON, ("text",), "audit P --scan"),
    ("headers", NONE, JSON, "audit P --verify-hashes --deny warning --max-size 1MiB --max-params 1M"),
    ("headers", NONE, ("text",), "audit P --max-ram 1GiB --ctx 8k --allow licence"),
    ("headers", JSON, ("text",), "P --no-scan"),
    ("values", ("text",), ("json", *REST), "P"),
    ("headers", JSON, ("text", *REST), "diff BEFORE P --tensors"),
    ("headers", NONE, ("text",), "diff P P"),
]

# Of what is large on the disk, only whether it is read.
HEAVY_PLAN = [
    ("headers", JSON, NONE, "show P"),
    ("headers", BOTH, NONE, "audit P"),
    ("headers", JSON, NONE, "P --no-scan"),
]

# Of what states many gigabytes, where each `memory` times the reading of a sample.
LARGE_PLAN = [
    ("headers", JSON, NONE, "show P --by layer"),
    ("headers", JSON, NONE, "audit P"),
    ("headers", JSON, NONE, f"project P --to {GGUF_TARGETS},int8,fp8,nf4,awq-4bit-g128 --pre qwen2"),
    ("headers", JSON, NONE, f"memory P --engine {ENGINES} {SERVED}"),
    ("headers", JSON, NONE, f"memory P --engine {ENGINES} {PARALLEL}"),
    ("headers", JSON, NONE, f"memory P {TRAINED}"),
    ("headers", BOTH, NONE, "P --no-scan"),
]

COMMANDS = ("show", "scan", "merge", "project", "memory", "audit", "diff")

WITHOUT_INPUT = [
    *((c, "--help") for c in COMMANDS), ("--help",), ("-h",), ("--version",), (),
    ("audit", "--explain", "all"), ("audit", "--explain", "all", "--format", "json"), ("audit", "--explain", "truncated"),
    ("audit", "--explain", "no-such-code"), ("no-such-command",), ("show",), ("show", "no-such-path"), ("show", "fixtures"),
    ("show", "fixtures/fracast", "--no-such-flag"), ("show", "fixtures/fracast", "--filter", "nothing-of-this-name"),
    ("scan", "fixtures/fracast", "--threads", "0"), ("scan", "fixtures/fracast", "--part", "3/2"),
    ("project", "fixtures/fracast", "--to", "no-such-scheme"), ("project", "fixtures/fracast", "--to", "q8_0,no-such-scheme"),
    ("memory", "fixtures/fracast", "--engine", "no-such-engine"), ("memory", "fixtures/fracast", "--fit", "24"),
    ("memory", "fixtures/fracast", "--train", "no-such-recipe"), ("memory", "fixtures/fracast", "--kv-type", "no-such-type"),
    ("memory", "fixtures/fracast", "--fit", "this"), ("project", "fixtures/fracast", "--fit", "this"),
    ("audit", "fixtures/fracast", "--deny", "no-such-code"), ("audit", "fixtures/fracast", "--policy", "no-such-file"),
    ("merge", "fixtures/fracast/README.md"), ("merge", "no-such-file"), ("show", "fixtures/fracast", "--format", "sarif"),
    *(("project", "--data", "1000000x10000", "--sparsity", s, "--dtype", t, "--format", f)
      for s in ("0.9", "1.5") for t in ("F32", "BF16") for f in ALL),
    *(("audit", f"fixtures/{p}", "--format", f) for p in ("pickles", "odd") for f in (*ALL, "sarif")),
]


def without_input():
    return [Case("no input", arguments, " ".join(arguments)) for arguments in WITHOUT_INPUT]


def of(target, full):
    """The cases of an input, in the order of the plan."""
    plan = HEAVY_PLAN if target.heavy else LARGE_PLAN if target.large else PLAN
    further = target.number % FURTHER == 0 or full and target.group == "fixtures"
    out = []
    for kind, forms, more, line in plan:
        if kind == "values" and not target.values or kind == "file" and not target.is_file:
            continue
        words = [{"P": target.path, "BEFORE": target.partner}.get(word, word) for word in line.split()]
        command = words[0] if words[0] in COMMANDS else "report"
        for form in (*forms, *more) if further else forms:
            out.append(Case(command, (*words, "--format", form), target.path, line))
    return out

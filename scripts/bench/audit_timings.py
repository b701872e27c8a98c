#!/usr/bin/env python3
"""Times `weigh audit` on inputs of growing size: ten times the input may take at most twelve times the CPU time.

usage: audit_timings.py WEIGH WORK_FOLDER
"""
import json, os, struct, sys, time

FLOOR = 0.02  # seconds of CPU below which a ratio says nothing


def st(entries, data_len):
    h = ("{" + ",".join(entries) + "}").encode()
    h += b" " * (-len(h) % 8)
    return struct.pack("<Q", len(h)) + h, data_len


def write(path, head, data_len):
    with open(path, "wb") as f:
        f.write(head)
        f.truncate(len(head) + data_len)


def safetensors(path, n):
    write(path, *st(['"layers.%d.w":{"dtype":"F32","shape":[1],"data_offsets":[%d,%d]}' % (i, 4 * i, 4 * i + 4) for i in range(n)], 4 * n))


def doubled(path, n):
    # Every tensor twice, on the same bytes: doubles and overlaps at once.
    write(path, *st(['"l%d":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}' % (i // 2) for i in range(n)], 8))


def gs(s):
    return struct.pack("<Q", len(s)) + s.encode()


def gguf(path, n):
    b = bytearray(b"GGUF" + struct.pack("<IQQ", 3, n, 1) + gs("general.architecture") + struct.pack("<I", 8) + gs("llama"))
    for i in range(n):
        b += gs("blk.%d.w%d" % (i % 60, i // 60)) + struct.pack("<IQiQ", 1, 8, 0, 32 * i)
    b += bytes(-len(b) % 32)
    write(path, b, 32 * n)


def blocks(path, n):
    b = bytearray(b"GGUF" + struct.pack("<IQQ", 3, n, 1) + gs("general.architecture") + struct.pack("<I", 8) + gs("llama"))
    for i in range(n):
        b += gs("blk.%d.w%d" % (i % 60, i // 60)) + struct.pack("<IQiQ", 1, 256, 12, 160 * i)  # Q4_K: 144 bytes, padded to 32
    b += bytes(-len(b) % 32)
    write(path, b, 160 * n)


def keys(path, n):
    b = bytearray(b"GGUF" + struct.pack("<IQQ", 3, 0, n + 1) + gs("general.architecture") + struct.pack("<I", 8) + gs("llama"))
    for i in range(n):
        b += gs("x.k%d" % i) + struct.pack("<II", 4, i)
    write(path, b, 0)


def one(name):
    return st(['"%s":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}' % name], 16)


def shards(path, n):
    os.makedirs(path, exist_ok=True)
    name = lambda i: "model-%05d-of-%05d.safetensors" % (i + 1, n)
    for i in range(n):
        write(os.path.join(path, name(i)), *one("t%d" % i))
    with open(os.path.join(path, "model.safetensors.index.json"), "w") as f:
        json.dump({"metadata": {"total_size": 16 * n}, "weight_map": {"t%d" % i: name(i) for i in range(n)}}, f)


def strangers(path, n):
    os.makedirs(path, exist_ok=True)
    for i in range(n):
        write(os.path.join(path, "m%d.safetensors" % i), *one("t%d" % i))


def pointers(path, n):
    os.makedirs(path, exist_ok=True)
    for i in range(n):
        with open(os.path.join(path, "m%d.safetensors" % i), "w") as f:
            f.write("version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 9\n" % ("ab" * 32))


CASES = [
    ("tensors, safetensors", safetensors, ".safetensors", (20_000, 200_000, 1_000_000)),
    ("tensors twice on the same bytes", doubled, ".safetensors", (20_000, 200_000)),
    ("tensors, GGUF", gguf, ".gguf", (20_000, 200_000, 1_000_000)),
    ("block-quantized tensors, GGUF", blocks, ".gguf", (20_000, 200_000, 1_000_000)),
    ("keys, GGUF", keys, ".gguf", (90_000, 900_000)),
    ("shards of one index", shards, "", (163, 2_000, 20_000)),
    ("files of nothing in common", strangers, "", (1_000, 10_000)),
    ("pointers in place of files", pointers, "", (1_000, 10_000)),
]


def run(weigh, path):
    pid = os.fork()
    if pid == 0:
        fd = os.open(os.devnull, os.O_RDWR)
        for n in (0, 1, 2):
            os.dup2(fd, n)
        os.execv(weigh, [weigh, "audit", path, "--format", "json"])
    begun = time.monotonic()
    _, _, usage = os.wait4(pid, 0)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024, time.monotonic() - begun


def main():
    weigh, work = os.path.abspath(sys.argv[1]), sys.argv[2]
    os.makedirs(work, exist_ok=True)
    bad = 0
    print("| input | size | CPU s | s | MiB | times the input | times the CPU |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for words, make, ending, sizes in CASES:
        before = None
        for n in sizes:
            path = os.path.join(work, "%s-%d%s" % (make.__name__, n, ending))
            if not os.path.exists(path):
                make(path, n)
            cpu, mib, seconds = min(run(weigh, path) for _ in range(3))
            grown, ratio = "", ""
            if before:
                grown, ratio = n / before[0], cpu / max(before[1], FLOOR)
                bad += ratio > 1.2 * grown
                grown, ratio = "%.1f" % grown, "%.1f" % ratio
            print("| %s | %s | %.2f | %.2f | %d | %s | %s |" % (words, f"{n:,}", cpu, seconds, mib, grown, ratio), flush=True)
            before = (n, cpu)
    sys.exit(bad != 0)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Times whole processes over one file in the page cache: `weigh scan` beside the machine's own limit, and beside peers.

usage: bench_process.py [--gib 3] [--turns 5] [--dir DIR] [--sft PATH] [--lens PATH]

The limit is a process that sums the same mapped bytes as u64 with two threads (benches/scan --limit). The file is BF16 of about
normal weights in a llama's shapes. Each turn runs every program once, so that noise of the machine meets all of them. Peers are
optional: `sft` of the package sft-cli (`sft stat FILE`), `lens` of the package weightlens (`lens analyze FILE --num-workers 2`); they
run once, as they take half a minute. Prints a Markdown table: wall and processor seconds, peak resident memory.
"""
import argparse, array, json, os, random, struct, subprocess, sys, tempfile, time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def write_model(path, gib):
    rng = random.Random(1)
    # 16 MiB of BF16: the upper halves of the floats, rounded towards zero.
    floats = array.array("f", (rng.gauss(0, 0.02) for _ in range(1 << 18)))
    words = array.array("I", floats.tobytes())
    piece = array.array("H", (w >> 16 for w in words)).tobytes() * 32
    header, offset = {}, 0
    for i in range(gib * 64):
        header[f"model.layers.{i}.mlp.up_proj.weight"] = {
            "dtype": "BF16", "shape": [2048, 4096], "data_offsets": [offset, offset + len(piece)]}
        offset += len(piece)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for _ in header:
            for at in range(0, len(piece), 1 << 20):
                f.write(piece[at:at + (1 << 20)])


def build():
    subprocess.run(["cargo", "build", "--release", "--locked", "--bin", "weigh"], cwd=ROOT, check=True)
    out = subprocess.run(["cargo", "bench", "--locked", "--bench", "scan", "--no-run", "--message-format", "json"],
                         cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    rows = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    bench = [r["executable"] for r in rows if r.get("target", {}).get("name") == "scan" and r.get("executable")][-1]
    return os.path.join(ROOT, "target/release/weigh"), bench


def run(command):
    """Wall seconds, processor seconds, peak resident MiB."""
    begun = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.monotonic() - begun
    if status != 0:
        sys.exit(f"{command[0]} failed with status {status}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gib", type=int, default=3)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--dir", help="folder for the file; it is kept there")
    parser.add_argument("--sft")
    parser.add_argument("--lens")
    args = parser.parse_args()
    weigh, bench = build()
    with tempfile.TemporaryDirectory() as temporary:
        path = os.path.join(args.dir or temporary, "bench.safetensors")
        if not os.path.exists(path):
            write_model(path, args.gib)
        programs = {
            "limit: sum as u64, 2 threads": [bench, "--limit", path],
            "weigh scan": [weigh, "scan", path, "--no-progress"],
            "weigh scan --io read": [weigh, "scan", path, "--no-progress", "--io", "read"],
        }
        results = {name: [] for name in programs}
        for turn in range(args.turns + 1):
            for name, command in programs.items():
                figures = run(command)
                if turn:
                    results[name].append(figures)
        if args.sft:
            results["sft stat (sft-cli)"] = [run([args.sft, "stat", path])]
        if args.lens:
            results["lens analyze --num-workers 2 (weightlens)"] = [run([args.lens, "analyze", path, "--num-workers", "2"])]
        median = lambda rows, i: sorted(row[i] for row in rows)[len(rows) // 2]
        best = lambda rows: min(row[0] for row in rows)
        limit = results["limit: sum as u64, 2 threads"]
        size = os.path.getsize(path)
        print(f"{size} bytes of BF16 in the page cache, median of {args.turns} turns; load {os.getloadavg()[0]:.1f}\n")
        print("| program | wall s | of the limit's time | best of best | processor s | peak resident MiB |")
        print("| --- | --: | --: | --: | --: | --: |")
        for name, rows in results.items():
            wall = median(rows, 0)
            print(f"| {name} | {wall:.2f} | {wall / median(limit, 0):.2f} | {best(rows) / best(limit):.2f} "
                  f"| {median(rows, 1):.2f} | {median(rows, 2):.0f} |")


if __name__ == "__main__":
    main()

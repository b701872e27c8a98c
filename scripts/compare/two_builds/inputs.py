"""What the two builds are asked about: files and folders below one folder, each with a path that is the same on every machine."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from . import packed
from .heads import ROOT

FIXTURES = ROOT / "fixtures"
HOSTILE = ROOT / "tests" / "hostile" / "gen.py"
WEIGHTS = (".safetensors", ".gguf")

# Values are read where the files are at most this long; holes read as zeros at the speed of memory.
VALUES_BYTES = 16 << 20
# Beyond so many stated bytes the heads of large models stand here: `weigh memory` times the reading of a sample of each.
LARGE_BYTES = 2 << 30
# Beyond so much on the disk, or so many files, an input takes seconds a run: only the shortest list of commands is run.
HEAVY_BYTES = 4 << 20
HEAVY_FILES = 3000
# A script that makes inputs is ended after so many seconds; what it has made by then is used.
MAKING_SECONDS = 300

# One input in so many is in the quick set, by group; 0: none.
QUICK = {"fixtures": 1, "convert": 1, "families": 8, "schemes": 9, "memory": 6, "quantized": 4, "structured": 3, "bare": 3,
         "hostile": 8, "truth": 23, "made": 9}


@dataclass(frozen=True)
class Input:
    """A file or folder; `path` is relative to the folder of all inputs."""
    path: str
    group: str
    is_file: bool
    values: bool
    heavy: bool
    large: bool
    number: int
    partner: str
    """The input before it in its group, to be compared with by `diff`."""


def weigh_up(path):
    """Stated bytes, bytes on the disk and number of files."""
    stated = held = files = 0
    entries = [(os.path.dirname(path), [], [os.path.basename(path)])] if path.is_file() else os.walk(path)
    for folder, _, names in entries:
        for name in names:
            try:
                status = os.lstat(os.path.join(folder, name))
            except OSError:
                continue
            stated, held, files = stated + status.st_size, held + status.st_blocks * 512, files + 1
    return stated, held, files


def listed(root, group, paths):
    """Inputs of paths, in their order."""
    out, before = [], None
    for number, path in enumerate(paths):
        stated, held, files = weigh_up(path)
        name = path.relative_to(root).as_posix()
        heavy = held > HEAVY_BYTES or files > HEAVY_FILES
        values = stated <= VALUES_BYTES and not heavy
        out.append(Input(name, group, path.is_file(), values, heavy, stated > LARGE_BYTES, number, before or name))
        before = name
    return out


def looked_at(folder, depth=4):
    """Folders that hold a file, to a depth, and the first weight files of each: one alone in its folder says nothing new."""
    found = []
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return found
    files = [e for e in entries if not e.is_dir() or e.is_symlink()]
    if files:
        found.append(folder)
        weights = [f for f in files if f.suffix.lower() in WEIGHTS and f.is_file()]
        if len(weights) > 1:
            found += weights[:2]
    if depth:
        for entry in entries:
            if entry.is_dir() and not entry.is_symlink():
                found += looked_at(entry, depth - 1)
    return found


class Inputs:
    """Makes inputs below a folder. What stands there from a run before is used again, by group."""

    def __init__(self, root, say):
        self.root, self.say, self.inputs = root, say, []

    def made(self, name, make):
        """The folder of a group; `make` fills it, unless it was finished before."""
        folder, done = self.root / name, self.root / f".{name}.done"
        if not done.is_file():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            self.say(f"making inputs: {name}")
            make(folder)
            done.touch()
        return folder

    def fixtures(self):
        def copy(out):
            shutil.copytree(FIXTURES, out, dirs_exist_ok=True, ignore=shutil.ignore_patterns("families", "*.head"))
        folder = self.made("fixtures", copy)
        files = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix in WEIGHTS)
        folders = sorted({p.parent for p in files} | {p.parent for p in folder.rglob("config.json")})
        self.inputs += listed(self.root, "fixtures", folders + files)
        folder = self.made("convert", lambda out: packed.with_heads(FIXTURES / "convert", out))
        self.inputs += listed(self.root, "convert", sorted(folder.iterdir()))
        for name, unfold in packed.RECORDS.items():
            folder = self.made(name, unfold)
            paths = [p for p in folder.rglob("*") if p.suffix == ".gguf" or (p.is_dir() and (p / "model.safetensors").exists())]
            # A folder of a family may hold any names of weight files.
            if name == "families":
                paths = [p for p in folder.iterdir() if p.is_dir()]
            self.inputs += listed(self.root, name, sorted(paths))

    def hostile(self, big):
        def generate(out):
            subprocess.run([sys.executable, "-B", HOSTILE, out] + ([] if big else ["--no-big"]), check=True, stdout=subprocess.DEVNULL)
        folder = self.made("hostile" if big else "hostile-small", generate)
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        paths = [folder / case["path"] for case in manifest["cases"]]
        self.inputs += listed(self.root, "hostile", [p for p in paths if os.path.lexists(p)])

    def truth(self, source):
        name = f"truth-{packed.plain(source.name)}"
        folder = self.made(name, lambda out: packed.truth(source, out))
        paths = sorted(p for p in looked_at(folder) if p.is_dir() or p.suffix == ".gguf")
        self.inputs += listed(self.root, "truth", paths)

    def generated(self, source, program):
        """Runs a script, or every script of a folder but those whose name begins with `_`, with an empty folder as its argument; one
        that fails so is given the program as well."""
        scripts = [source] if source.is_file() else sorted(p for p in source.glob("*.py") if not p.name.startswith("_"))
        for script in scripts:
            def run(out, script=script):
                for arguments in ([out], [out, program]):
                    error = make_by(script, arguments)
                    if error is None:
                        return
                self.say(f"  {script.name}: {error}")
            folder = self.made(f"{packed.plain(script.parent.name)}-{script.stem}", run)
            self.inputs += listed(self.root, "made", sorted(looked_at(folder)))


def make_by(script, arguments):
    """Runs a script; gives what went wrong, or None."""
    command = [sys.executable, "-B", str(script.resolve()), *map(str, arguments)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=MAKING_SECONDS, stdin=subprocess.DEVNULL, cwd=arguments[0])
    except subprocess.TimeoutExpired:
        return f"ended after {MAKING_SECONDS} s"
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or [""]
        return f"exit {done.returncode}: {last[0][:160]}"
    return None

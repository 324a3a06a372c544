#!/usr/bin/python3
"""clang-tidy has nothing to say about any file that the build compiles.

A file that was clean stays unchecked until it, a header of ours that it includes, the configuration or
its compile command changes: the stamps are in build/tidy. $BUILD names the build folder. The static
analyser, which takes most of the time, reads what is C, not the C++ beside DCMTK (a fifth of its time, in
which it follows that library's strings and vectors) nor the tests, which run with sanitizers. All of it
gives way to the tests beside it.
"""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import peers  # noqa: E402

BUILD = pathlib.Path(os.environ.get("BUILD", peers.ROOT / "build"))
STAMPS = BUILD / "tidy"


LAX = "--checks=-clang-analyzer-*"  # for tests/ and C++
# States that the analyser follows in one function; its own limit is three times that. The longest functions
# take half the time, and everything that it has found here so far it still finds.
NODES = [f"--extra-arg={word}" for word in ("-Xclang", "-analyzer-config", "-Xclang", "max-nodes=75000")]


def included():
    """{object: headers of ours that it was compiled from}, as the build knows them."""
    said = subprocess.run(["ninja", "-C", str(BUILD), "-t", "deps"], capture_output=True, text=True, check=False).stdout
    found, current = {}, None
    for line in said.splitlines():
        if line and not line[0].isspace():
            current = found.setdefault(line.split(":")[0], [])
        elif line.strip():
            path = (BUILD / line.strip()).resolve()
            if path.is_relative_to(peers.ROOT) and path.suffix in (".h", ".hh"):
                current.append(path)
    return found


def object_of(entry):
    return re.search(r" -o (\S+)", entry["command"])[1]


def common_digest():
    digest = hashlib.sha256((peers.ROOT / ".clang-tidy").read_bytes() + " ".join([LAX, *NODES]).encode())
    digest.update(subprocess.run(["clang-tidy", "--version"], capture_output=True, check=True).stdout)
    return digest.digest()


def key_of(entry, headers, common):
    digest = hashlib.sha256(common + entry["command"].encode())
    for path in [pathlib.Path(entry["directory"]) / entry["file"], *headers]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def check(entry, headers, common):
    """Returns the complaints about one entry of the compilation database, or None."""
    source = pathlib.Path(entry["directory"]) / entry["file"]
    stamp = STAMPS / key_of(entry, headers, common)
    if stamp.exists():
        return None
    lax = [LAX] if source.is_relative_to(peers.ROOT / "tests") or source.suffix == ".cc" else []
    done = subprocess.run(["clang-tidy", "-p", str(BUILD), "--quiet", *NODES, *lax, str(source)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return done.stdout + done.stderr
    stamp.touch()
    return None


def main():
    if shutil.which("clang-tidy") is None:
        peers.skip("clang-tidy is not installed")
    entries = [e for e in json.loads((BUILD / "compile_commands.json").read_text()) if not e["file"].startswith(str(BUILD))]
    STAMPS.mkdir(exist_ok=True)
    common, headers = common_digest(), included()
    unknown = [e["file"] for e in entries if object_of(e) not in headers]
    assert not unknown, f"not built yet: {unknown}"
    os.nice(3)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        complaints = [c for c in pool.map(lambda e: check(e, headers[object_of(e)], common), entries) if c]
    print("\n".join(complaints))
    print(f"{len(entries)} files, {len(complaints)} with complaints")
    return 1 if complaints or not entries else 0


if __name__ == "__main__":
    sys.exit(main())

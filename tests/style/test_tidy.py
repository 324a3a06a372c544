#!/usr/bin/python3
"""clang-tidy has nothing to say about any file that the build compiles.

A file that was clean stays unchecked until it, a header of ours, the configuration or its compile
command changes: the stamps are in build/tidy. $BUILD names the build folder.
"""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import peers  # noqa: E402

BUILD = pathlib.Path(os.environ.get("BUILD", peers.ROOT / "build"))
STAMPS = BUILD / "tidy"


def common_digest():
    digest = hashlib.sha256((peers.ROOT / ".clang-tidy").read_bytes())
    digest.update(subprocess.run(["clang-tidy", "--version"], capture_output=True, check=True).stdout)
    for folder in ("base", "node", "conf", "compute", "dimse", "tests"):
        for header in sorted((peers.ROOT / folder).rglob("*.h*")):
            digest.update(header.read_bytes())
    return digest.digest()


def check(entry, common):
    """Returns the complaints about one entry of the compilation database, or None."""
    source = pathlib.Path(entry["directory"]) / entry["file"]
    key = hashlib.sha256(common + entry["command"].encode() + source.read_bytes()).hexdigest()
    stamp = STAMPS / key
    if stamp.exists():
        return None
    done = subprocess.run(["clang-tidy", "-p", str(BUILD), "--quiet", str(source)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return done.stdout + done.stderr
    stamp.touch()
    return None


def main():
    if shutil.which("clang-tidy") is None:
        peers.skip("clang-tidy is not installed")
    entries = [e for e in json.loads((BUILD / "compile_commands.json").read_text()) if not e["file"].startswith(str(BUILD))]
    STAMPS.mkdir(exist_ok=True)
    common = common_digest()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        complaints = [c for c in pool.map(lambda e: check(e, common), entries) if c]
    print("\n".join(complaints))
    print(f"{len(entries)} files, {len(complaints)} with complaints")
    return 1 if complaints or not entries else 0


if __name__ == "__main__":
    sys.exit(main())

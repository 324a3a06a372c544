#!/usr/bin/python3
"""clang-tidy has nothing to say about any file that the build compiles.

A file that was clean stays unchecked until it, a header of ours that it includes, the configuration or
its compile command changes: the stamps are in build/tidy. $BUILD names the build folder. The static
analyser, which takes most of the time, reads what is C, not the C++ beside DCMTK (a fifth of its time, in
which it follows that library's strings and vectors) nor the tests, which run with sanitizers. The C++ of a
folder is read as one unit: alone, each file takes 4 s, nearly all of them for DCMTK's headers. All of it
gives way to the tests beside it.

$ANODE_TIDY_NODES lets the analyser go deeper than a test has time for (its own limit is 225000).
"""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import peers  # noqa: E402

BUILD = pathlib.Path(os.environ.get("BUILD", peers.ROOT / "build"))
STAMPS = BUILD / "tidy"


LAX = "--checks=-clang-analyzer-*"  # for tests/ and C++
# States that the analyser follows in one function. Its time grows with it: all C here takes 365 s with 75000,
# 145 s with 20000, 28 s without the analyser.
DEPTH = f"max-nodes={os.environ.get('ANODE_TIDY_NODES', '20000')}"
NODES = [f"--extra-arg={word}" for word in ("-Xclang", "-analyzer-config", "-Xclang", DEPTH)]
# A unit includes its sources, and what is said of them counts as what is said of headers.
UNIT = ["--checks=-clang-analyzer-*,-bugprone-suspicious-include", r"--header-filter=^(.*/)?dimse/.*\.(h|hh|cc)$"]


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
    digest = hashlib.sha256((peers.ROOT / ".clang-tidy").read_bytes() + " ".join([LAX, *NODES, *UNIT]).encode())
    digest.update(subprocess.run(["clang-tidy", "--version"], capture_output=True, check=True).stdout)
    return digest.digest()


def source_of(entry):
    return pathlib.Path(entry["directory"]) / entry["file"]


def flags_of(entry):
    """The compile command without compiler, input and output."""
    words = shlex.split(entry["command"])[1:]
    at = words.index("-o")
    return [word for i, word in enumerate(words) if i not in (at, at + 1) and word not in ("-c", entry["file"])]


def stamp_of(entries, headers, common):
    digest = hashlib.sha256(common)
    paths = set()
    for entry in entries:
        digest.update(entry["command"].encode())
        paths.update([source_of(entry), *headers[object_of(entry)]])
    for path in sorted(paths):
        digest.update(path.read_bytes())
    return STAMPS / digest.hexdigest()


def command_of(entries):
    source = source_of(entries[0])
    if is_unit(source):
        unit = STAMPS / f"{source.parent.name}.cc"
        unit.write_text("".join(f'#include "{source_of(entry)}"\n' for entry in entries))
        config = f"--config-file={peers.ROOT / '.clang-tidy'}"
        return [config, *UNIT, str(unit), "--", *flags_of(entries[0])]
    lax = [LAX] if source.is_relative_to(peers.ROOT / "tests") else []
    return ["-p", str(BUILD), *NODES, *lax, str(source)]


def check(entries, headers, common):
    """Returns the complaints about the files of one unit, or None."""
    stamp = stamp_of(entries, headers, common)
    if stamp.exists():
        return None
    done = subprocess.run(["clang-tidy", "--quiet", *command_of(entries)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return done.stdout + done.stderr
    stamp.touch()
    return None


def is_unit(source):
    return source.suffix == ".cc" and source.is_relative_to(peers.ROOT / "dimse")


def units_of(entries):
    """The entries in groups that clang-tidy reads at once, those that take longest first."""
    found = {}
    for entry in entries:
        source = source_of(entry)
        key = (source.parent, tuple(flags_of(entry))) if is_unit(source) else source
        found.setdefault(key, []).append(entry)
    return sorted(found.values(), key=len, reverse=True)


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
        complaints = [c for c in pool.map(lambda unit: check(unit, headers, common), units_of(entries)) if c]
    print("\n".join(complaints))
    print(f"{len(entries)} files, {len(complaints)} with complaints")
    return 1 if complaints or not entries else 0


if __name__ == "__main__":
    sys.exit(main())

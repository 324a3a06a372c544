#!/usr/bin/python3
"""Every C and C++ file is laid out as .clang-format says."""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import peers  # noqa: E402

FOLDERS = ("base", "node", "conf", "compute", "dimse", "shaders", "tests")
ENDINGS = (".c", ".h", ".cc", ".hh")

peers.need("clang-format")
files = [str(p) for folder in FOLDERS for p in sorted((peers.ROOT / folder).rglob("*")) if p.suffix in ENDINGS]
print(f"{len(files)} files")
sys.exit(subprocess.run(["clang-format", "--dry-run", "-Werror", *files], check=False).returncode)

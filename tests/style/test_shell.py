#!/usr/bin/python3
"""ShellCheck has nothing to say about the scripts."""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import peers  # noqa: E402

peers.need("shellcheck")
sys.exit(subprocess.run(["shellcheck", "run", ".ci/run"], cwd=peers.ROOT, check=False).returncode)

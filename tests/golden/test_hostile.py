#!/usr/bin/python3
"""Broken and hostile files: each is described or ignored with a reason, without a crash, and in
bounded time and memory.
"""
import json
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile
import time
import unittest

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1])]
import peers  # noqa: E402

MIB_MAX = 400     # resident; the largest file has 2 MiB, and none may grow without bound
PAUSE_S_MAX = 5   # between two lines about files; a second is the aim, the machine may be loaded
SANITIZED = "asan" in str(peers.ANODE) or bool(os.environ.get("ASAN_OPTIONS"))


def hostile_files():
    folders = [folder for folder in (peers.shared_data("dicom", "bad"), peers.shared_data("dicom", "hostile")) if folder]
    return sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())


class Hostile(unittest.TestCase):
    def test_each_file_is_described_or_has_a_reason(self):
        files = hostile_files()
        if not files:
            peers.skip("the shared data are not here")
        with tempfile.TemporaryDirectory(prefix="anode-hostile-") as scratch:
            out = pathlib.Path(scratch) / "out"
            started = time.monotonic()
            done = subprocess.run([peers.ANODE, "inspect", "-o", out, *files], capture_output=True, text=True, check=False, timeout=len(files) * PAUSE_S_MAX)
            self.assertEqual(done.returncode, 0, done.stderr[-2000:])
            self.assertLess(time.monotonic() - started, len(files) * PAUSE_S_MAX)
            described = json.loads((out / "inspect.json").read_text())
        ignored = dict(re.findall(r'file=(\S+) ignored reason="([^"]+)"', done.stderr))
        for path, reason in ignored.items():
            self.assertGreater(len(reason), 8, f"{path}: {reason}")
        self.assertNotIn("no instance of a series", ignored.values())
        seen = sum(s["instances"] for s in described["series"])
        self.assertEqual(seen + len(ignored), len(files))
        for series in described["series"]:  # images, or why there are none
            self.assertTrue(series["images"] or series["trouble"] or series["set_aside"] or series["localizers"], series["series"])
        if not SANITIZED:
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
            self.assertLess(peak, MIB_MAX)


if __name__ == "__main__":
    sys.exit(unittest.main())

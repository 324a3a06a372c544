#!/usr/bin/python3
"""Sixteen analyses in one process take no more memory than eight did."""
import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import peers  # noqa: E402
import series  # noqa: E402

SERIES, SETTLED, GROWTH = 16, 8, 1.015


def main():
    if b"__asan_init" in peers.ANODE.read_bytes():
        peers.skip("AddressSanitizer keeps freed memory")
    source = peers.phantom("--seed", "1", "--size", "320", "--fov", "350", "--slices", "29", "--increment", "5", "--thickness", "5", "--noise", "14")
    with tempfile.TemporaryDirectory(prefix="anode-growth-") as scratch:
        scratch = pathlib.Path(scratch)
        for number in range(SERIES):
            series.copy(source, scratch / "in" / f"{number:03d}", number)
        subprocess.run([peers.ANODE, "analyze", "-s", "calcium", "-o", scratch / "out", scratch / "in"], check=True,
                       stdout=subprocess.DEVNULL, timeout=peers.HANG_S)
        results = json.loads((scratch / "out" / "report.json").read_text())["results"]
    assert len(results) == SERIES, f"{len(results)} results"
    assert all(r["verdict"] == "done" for r in results), {r["reason"] for r in results}
    peaks = [r["peak_bytes"] for r in results]
    print(f"largest size after {SETTLED}: {peaks[SETTLED - 1] / 1e6:.1f} MB, after {SERIES}: {peaks[-1] / 1e6:.1f} MB")
    assert peaks == sorted(peaks) and peaks[0] > 0, "the largest size so far only grows"
    return 0 if peaks[-1] <= GROWTH * peaks[SETTLED - 1] else 1


if __name__ == "__main__":
    sys.exit(main())

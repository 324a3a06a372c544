#!/usr/bin/python3
"""CT perfusion of 256 x 256 x 16 voxels at 60 times: from the last C-STORE response to the last result in
the PACS, the memory it takes, and its deconvolution beside numpy and plain C.

Three runs after one to warm up; Orthanc holds the series already. Budget: 5 s, 500 MB. Exit status 1 when it takes more
memory. usage: bench_perfusion.py [--deconvolution]   only that
"""
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import peers  # noqa: E402
from delivery import instances_in, one_run  # noqa: E402
import series  # noqa: E402

RUNS, QUIET_S, BUDGET_S, BUDGET_MB, STEPS = 3, 1.0, 5.0, 500, 60
# Report, marks, pages, segments, and five maps twice: the last is there when all are.
RESULTS = 14


def end_to_end():
    ports = peers.free_ports(3)
    with tempfile.TemporaryDirectory(prefix="anode-bench-") as scratch:
        scratch = pathlib.Path(scratch)
        generator = pathlib.Path(__file__).resolve().parent.parent / "phantom" / "perfusion.py"
        subprocess.run([sys.executable, generator, scratch / "made", "--size", "256", "--slices", "16", "--step", "1.1", "--seconds", "65", "--noise", "4"],
                       check=True, stdout=subprocess.DEVNULL)
        yaml = peers.node_yaml(scratch / "node" / "data", ports[2], {"ORTHANC": ports[0]}, route="perfusion").replace("[sr, gsps, sc]", "[sr, gsps, sc, seg, pmap]")
        with peers.Orthanc(scratch / "pacs", *ports, route=False) as pacs, peers.Node(scratch / "node", ports[2], {"ORTHANC": ports[0]}, yaml=yaml) as node:
            seconds, peaks = [], []
            for run in range(RUNS + 1):
                took, peak = one_run(pacs, node, series.copy(scratch / "made", scratch / str(run), run), ports, instances_in, RESULTS)
                if run:
                    seconds.append(took - QUIET_S)
                    peaks.append(peak / 1e6)
    print(f"last image to last result, less {QUIET_S:g} s quiet time: median {statistics.median(seconds):.2f} s, worst {max(seconds):.2f} s (budget {BUDGET_S:g} s)")
    print(f"largest process: {max(peaks):.0f} MB (budget {BUDGET_MB} MB)", flush=True)
    return max(peaks) <= BUDGET_MB


def numpy_osvd(artery, curves, limit=0.095):
    """Maxima of the residue functions: in Fourier space, all voxels that are left at each level together."""
    rows = (2 * STEPS + 7) // 8 * 8
    near = np.concatenate([[0], artery, [0, 0]])
    linear = (near[:-2] + 4 * near[1:-1] + near[2:]) / 6
    spectrum = np.fft.rfft(linear, rows)
    transformed, peak = np.fft.rfft(curves, rows, axis=1), np.zeros(len(curves))
    left = np.arange(len(curves))
    for level in range(1, 20):
        kept = np.abs(spectrum) >= 0.05 * level * np.abs(spectrum).max()
        inverse = np.where(kept, 1 / np.where(kept, spectrum, 1), 0)
        found = np.fft.irfft(transformed[left] * inverse, rows, axis=1)
        top = found.max(1)
        smooth = (np.abs(np.diff(found, 2, axis=1)).sum(1) <= limit * rows * top) & (top > 0) | (level == 19)
        peak[left[smooth]] = top[smooth]
        left = left[~smooth]
        if not len(left):
            break
    return peak


def deconvolution():
    build = pathlib.Path(os.environ.get("BUILD", "build"))
    with tempfile.TemporaryDirectory(prefix="anode-bench-") as scratch:
        print(subprocess.run([build / "tests" / "bench_residue", f"{scratch}/curves"], check=True, capture_output=True, text=True).stdout, end="")
        values = np.fromfile(f"{scratch}/curves", "<f4")
    artery, curves = values[:STEPS].astype(float), values[STEPS:].reshape(-1, STEPS)
    start, cpu = time.monotonic(), time.process_time()
    peak = numpy_osvd(artery, curves)
    print(f"numpy    {time.monotonic() - start:6.2f} s, processor {time.process_time() - cpu:6.2f} s (Fourier transforms; mean maximum {peak.mean():.4f} /s)", flush=True)


if __name__ == "__main__":
    deconvolution()
    sys.exit(0 if "--deconvolution" in sys.argv or end_to_end() else 1)

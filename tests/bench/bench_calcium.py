#!/usr/bin/python3
"""From the last C-STORE response to the last result in the PACS, and the memory it takes.

48 x 512 x 512 voxels, five runs after one to warm up; Orthanc holds the series already, so that the
node's C-FIND is answered and the short quiet time counts. Budget: 2 s, 500 MB. Then 600 slices, once:
500 MB too. Exit status 1 when either takes more memory.
"""
import pathlib
import statistics
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import peers  # noqa: E402
from delivery import one_run  # noqa: E402
import series  # noqa: E402

RUNS, QUIET_S, BUDGET_S, BUDGET_MB = 5, 1.0, 2.0, 500


def measure(source, runs):
    """(seconds of each run, less the quiet time, largest resident size in MB) after one run to warm up where there are several."""
    ports = peers.free_ports(3)
    with tempfile.TemporaryDirectory(prefix="anode-bench-") as scratch:
        scratch = pathlib.Path(scratch)
        with peers.Orthanc(scratch / "pacs", *ports, route=False) as pacs, \
                peers.Node(scratch / "node", ports[2], {"ORTHANC": ports[0]}) as node:
            seconds, peaks = [], []
            for run in range(runs + (runs > 1)):
                files = series.copy(source, scratch / str(run), run)
                took, peak = one_run(pacs, node, files, ports)
                if run or runs == 1:
                    seconds.append(took - QUIET_S)
                    peaks.append(peak / 1e6)
    return seconds, max(peaks)


def main():
    seconds, small = measure(peers.phantom("--seed", "1"), RUNS)
    print(f"last image to last result, less {QUIET_S:g} s quiet time: median {statistics.median(seconds):.2f} s,"
          f" worst {max(seconds):.2f} s (budget {BUDGET_S:g} s)")
    print(f"largest process: {small:.0f} MB (budget {BUDGET_MB} MB)", flush=True)
    seconds, large = measure(peers.phantom("--seed", "1", "--slices", "600", "--increment", "0.5", "--thickness", "0.5"), 1)
    print(f"600 slices: {seconds[0]:.2f} s, largest process: {large:.0f} MB (budget {BUDGET_MB} MB)")
    return 0 if max(small, large) <= BUDGET_MB else 1


if __name__ == "__main__":
    sys.exit(main())

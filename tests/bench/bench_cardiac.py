#!/usr/bin/python3
"""Cine MR of 12 slices in 20 phases (256 x 256): from the last C-STORE response to the last result in the PACS, and the memory it takes.

Three runs after one to warm up; Orthanc holds the series already. Budget: 3 s, 500 MB. Exit status 1 when it takes more memory.
"""
import pathlib
import statistics
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import peers  # noqa: E402
from delivery import one_run  # noqa: E402
import series  # noqa: E402

RUNS, QUIET_S, BUDGET_S, BUDGET_MB = 3, 1.0, 3.0, 500


def main():
    ports = peers.free_ports(3)
    with tempfile.TemporaryDirectory(prefix="anode-bench-") as scratch:
        scratch = pathlib.Path(scratch)
        made = peers.phantom("--seed", "3", "--size", "256", "--pixel", "1.4", "--slices", "12", "--phases", "20", generator="cardiac")
        yaml = peers.node_yaml(scratch / "node" / "data", ports[2], {"ORTHANC": ports[0]}, route="cardiac", when={"Modality": "MR"})
        with peers.Orthanc(scratch / "pacs", *ports, route=False) as pacs, peers.Node(scratch / "node", ports[2], {"ORTHANC": ports[0]}, yaml=yaml) as node:
            seconds, peaks = [], []
            for run in range(RUNS + 1):
                took, peak = one_run(pacs, node, series.copy(made, scratch / str(run), run), ports)
                if run:
                    seconds.append(took - QUIET_S)
                    peaks.append(peak / 1e6)
    print(f"last image to last result, less {QUIET_S:g} s quiet time: median {statistics.median(seconds):.2f} s, worst {max(seconds):.2f} s (budget {BUDGET_S:g} s)")
    print(f"largest process: {max(peaks):.0f} MB (budget {BUDGET_MB} MB)")
    return 0 if max(peaks) <= BUDGET_MB else 1


if __name__ == "__main__":
    sys.exit(main())

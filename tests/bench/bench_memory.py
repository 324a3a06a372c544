#!/usr/bin/python3
"""Does a worker grow? A hundred analyses of different series, the resident size after each ten.

Exit status 1 when the size after the last ten is more than 5 % above that after the second ten.
"""
import pathlib
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import peers  # noqa: E402
import series  # noqa: E402

SERIES, STEP, GROWTH = 100, 10, 1.05


def main():
    ports = peers.free_ports(3)
    source = peers.phantom("--seed", "1", "--size", "320", "--fov", "350", "--slices", "29", "--increment", "5", "--thickness", "5", "--noise", "14")
    with tempfile.TemporaryDirectory(prefix="anode-bench-") as scratch:
        scratch = pathlib.Path(scratch)
        with peers.Orthanc(scratch / "pacs", *ports, route=False) as pacs, \
                peers.Node(scratch / "node", ports[2], {"ORTHANC": ports[0]},
                           extra="completion:\n  quiet_s: 0.5\n  short_quiet_s: 0.5\n") as node:
            sizes = []
            for number in range(SERIES):
                files = series.copy(source, scratch / "series" / str(number), number)
                peers.store(files, ports[2], called="ANODE", calling="ORTHANC")
                shutil.rmtree(scratch / "series" / str(number))
                if (number + 1) % STEP:
                    continue
                peers.wait_for(lambda: len(pacs.find("Series", Modality="OT")) > number, 300, f"{number + 1} results\n{node.tail()}")
                sizes.append(max(peers.memory(p, "VmRSS") for p in peers.descendants(node.pid)))
                print(f"{number + 1:4} analyses: largest process {sizes[-1] / 1e6:.1f} MB", flush=True)
    growth = sizes[-1] / sizes[1]
    print(f"growth from analysis {2 * STEP} to {SERIES}: {100 * (growth - 1):+.1f} %")
    return 0 if growth <= GROWTH else 1


if __name__ == "__main__":
    sys.exit(main())

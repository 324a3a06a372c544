#!/usr/bin/python3
"""Does a queue delay receiving? The longest answer to a C-STORE while a node with a cold cache starts:
its worker compiles every shader, a series of 3,000 slices becomes a job, waits, is handed over and runs.
Beside it the same load with nothing in the queue.

Exit status 1 when an object was not answered with success, or an answer took longer than 200 ms more.
"""
import json
import os
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import peers  # noqa: E402
from bench_receive import LOAD, send  # noqa: E402

SLICES = 3000
MOST_MS = 200
NODE = """node: {{ae_title: ANODE, bind: 127.0.0.1, port: {port}, data_dir: "{folder}/data"}}
completion: {{quiet_s: 1, short_quiet_s: 0.5}}
limits: {{min_free_mib: 256}}
peers:
  - {{ae_title: LOAD, host: 127.0.0.1, port: {sink}, find: false}}
routes:
  - {{name: all, when: {{Modality: {modality}}}, run: calcium, return_to: [LOAD]}}
"""


def start(folder, modality):
    port, sink = peers.free_ports(2)
    cold = {"MESA_SHADER_CACHE_DIR": str(folder / "shaders"), "XDG_CACHE_HOME": str(folder / "cache")}
    return port, peers.Node(folder, port, {}, yaml=NODE.format(port=port, sink=sink, folder=folder, modality=modality), env=cold)


def measure(folder, modality):
    """(longest answer in ms, steps seen, objects not answered) while modality is routed."""
    port, node = start(folder, modality)
    with node:
        runs, steps, text = [send(port, "ANODE", 1, 64, SLICES)], [], ""
        marks = ("ready seconds=", "job=1 attempt=", "job=1 verdict=")
        while len(steps) < len(marks) and len(runs) < 500:
            runs.append(send(port, "ANODE", 1, 64, 50))
            text = (folder / "anode.log").read_text()
            steps = [m for m in marks if m in text]
            if modality != "CT" and len(runs) > 20 and steps:
                break
        slow = [r["max_ms"] for r in runs]
        return max(slow), steps, sum(r["objects"] - r["ok"] for r in runs)


def main():
    for program in (LOAD, peers.ANODE):
        if not program.exists():
            print(f"{program} is not built")
            return 1
    print(f"load average {os.getloadavg()[0]:.1f}")
    found = {}
    with tempfile.TemporaryDirectory(prefix="anode-bench-", dir=os.environ.get("TMPDIR")) as scratch:
        for name, modality in (("nothing queued", "MR"), (f"{SLICES} slices queued", "CT")):
            found[name] = measure(pathlib.Path(scratch) / modality, modality)
            print(f"{name:20} longest answer {found[name][0]:8.1f} ms, seen: {json.dumps(found[name][1])}, lost: {found[name][2]}", flush=True)
    (idle, _, lost), (busy, steps, more) = found.values()
    if len(steps) < 3:
        print("the job did not run to its end")
    return 0 if lost + more == 0 and len(steps) == 3 and busy - idle < MOST_MS else 1


if __name__ == "__main__":
    sys.exit(main())

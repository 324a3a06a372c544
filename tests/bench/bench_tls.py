#!/usr/bin/python3
"""What does TLS cost? The same files by storescu to anode and to storescp --fork, plain and by TLS, in
turn in the same run; each with its own ratio of TLS to plain. Certificates are made for the run.

Exit status 1 when an association was not served.
"""
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1]), str(pathlib.Path(__file__).resolve().parents[1] / "net")]
import peers  # noqa: E402
from node import make_series  # noqa: E402
from test_tls import Authority  # noqa: E402

ROUNDS = 3
ASSOCIATIONS = 1, 4
OBJECTS, SIZE = 200, 512  # CT of 0.52 MB

NODE = """node: {{ae_title: ANODE, bind: 127.0.0.1, port: {plain}, data_dir: {folder}/data}}
limits: {{min_free_mib: 256}}
peers:
  - {{ae_title: LOAD, host: 127.0.0.1, port: {sink}, find: false}}
routes:
  - {{name: none of the load, when: {{Modality: MR}}, run: calcium, return_to: [LOAD]}}
"""


def start_anode(folder, authority, plain, tls):
    sink, = peers.free_ports(1)
    node = peers.Node(folder, plain, {}, yaml=NODE.format(plain=plain, folder=folder, sink=sink) + authority.section(tls))
    peers.wait_for(lambda: "ready seconds=" in (folder / "anode.log").read_text(), 120, f"a worker that is ready\n{node.tail()}")
    return [node]


def start_storescp(folder, authority, plain, tls):
    started = []
    for name, port, more in (("plain", plain, []), ("tls", tls, authority.dcmtk("node"))):
        (folder / name).mkdir(parents=True)
        started.append(peers.Process(["storescp", "--fork", *more, "-od", folder / name, port], folder / f"{name}.log"))
    return started


def rate(port, series, more):
    """Objects a second, one association a series."""
    commands = [["storescu", *more, "-aet", "LOAD", "-aec", "ANODE", "127.0.0.1", port, *files] for files in series]
    start = time.monotonic()
    running = [subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for command in commands]
    said = [p.communicate()[1].decode() for p in running]
    took = time.monotonic() - start
    if any(p.returncode for p in running):
        raise peers.PeerError(f"storescu: {said}")
    return sum(map(len, series)) / took


def main():
    peers.need("storescu", "storescp", "openssl")
    found = {}
    with tempfile.TemporaryDirectory(prefix="anode-bench-") as scratch:
        scratch = pathlib.Path(scratch)
        authority = Authority(scratch / "ca")
        for name in ("node", "load"):
            authority.sign(name)
        for number in range(ROUNDS):
            for name, start in (("anode", start_anode), ("storescp --fork", start_storescp)):
                folder = scratch / f"{number}-{name[:3]}"
                plain, tls = peers.free_ports(2)
                started = start(folder, authority, plain, tls)
                try:
                    for port in (plain, tls):
                        started[0].wait_listening(port)
                    for n in ASSOCIATIONS:
                        for way, port, more in (("plain", plain, []), ("TLS", tls, authority.dcmtk("load"))):
                            # Each way its own instances: what is here already is not stored again.
                            shutil.rmtree(scratch / "now", ignore_errors=True)
                            sent = [make_series(scratch / "now" / str(a), 1000 * number + 100 * n + 10 * a + (way == "TLS"), count=OBJECTS // n, size=SIZE) for a in range(n)]
                            found.setdefault((name, n, way), []).append(rate(port, sent, more))
                finally:
                    for process in started:
                        process.stop()
                shutil.rmtree(folder, ignore_errors=True)
    print(f"CT {SIZE}x{SIZE}, {OBJECTS} objects by storescu: medians of {ROUNDS} rounds, servers in turn")
    print(f"{'server':16}{'assoc':>6}{'plain obj/s':>20}{'TLS obj/s':>20}{'TLS/plain':>10}")
    for name in ("anode", "storescp --fork"):
        for n in ASSOCIATIONS:
            plain, tls = found[name, n, "plain"], found[name, n, "TLS"]
            print(f"{name:16}{n:6}{statistics.median(plain):10.0f} {min(plain):4.0f}-{max(plain):<4.0f}{statistics.median(tls):10.0f} {min(tls):4.0f}-{max(tls):<4.0f}"
                  f"{statistics.median(tls) / statistics.median(plain):10.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

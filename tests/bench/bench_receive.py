#!/usr/bin/python3
"""How fast are instances received? anode, which answers once an instance and its record are on stable
media, beside storescp --fork, with and without +B (bit-preserving, as anode), and Orthanc, which do not wait
for that. All with TCP_NODELAY=1, the same load, in turn in the same run: compare only inside one table, and
ignore differences below 1.5. CPU is that of all processes of the server, those that have ended included; memory
the most that all of them had at a time, what they share counted once (Pss).

Exit status 1 when an object was not answered with success.
"""
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import peers  # noqa: E402

ROUNDS = 3
ASSOCIATIONS = 1, 4, 16
LOADS = (("CT 512x512, 0.52 MB", 512, 300), ("CT 64x64, 9 kB", 64, 600), ("CT 4096x4096, 34 MB", 4096, 16))  # name, columns, objects
LOAD = peers.ANODE.parent / "tests" / "bench_load"

NODE = """node:
  ae_title: ANODE
  bind: 127.0.0.1
  port: {port}
  data_dir: {folder}/data
  log_level: info
limits:
  max_associations_per_peer: 32
  min_free_mib: 256
peers:
  - {{ae_title: LOAD, host: 127.0.0.1, port: {sink}, find: false}}
routes:
  - {{name: none of the load, when: {{Modality: MR}}, run: calcium, return_to: [LOAD]}}
"""


def start_anode(folder, port):
    sink, = peers.free_ports(1)
    node = peers.Node(folder, port, {}, yaml=NODE.format(port=port, folder=folder, sink=sink))
    # its worker compiles shaders once at start: that is no part of receiving
    peers.wait_for(lambda: "ready seconds=" in (folder / "anode.log").read_text(), 120, f"a worker that is ready\n{node.tail()}")
    return node


def start_storescp(folder, port):
    (folder / "files").mkdir(parents=True)
    return peers.Process(["storescp", "--fork", "-od", folder / "files", port], folder / "log")


def start_storescp_bits(folder, port):
    (folder / "files").mkdir(parents=True)
    return peers.Process(["storescp", "--fork", "+B", "-pdu", "131072", "-od", folder / "files", port], folder / "log")


def start_orthanc(folder, port):
    folder.mkdir(parents=True)
    http, = peers.free_ports(1)
    conf = {"DicomPort": port, "HttpPort": http, "DicomAet": "ORTHANC", "RemoteAccessAllowed": False,
            "StorageDirectory": str(folder / "db"), "IndexDirectory": str(folder / "db")}
    (folder / "orthanc.json").write_text(json.dumps(conf))
    return peers.Process([shutil.which("Orthanc") or "/usr/sbin/Orthanc", folder / "orthanc.json"], folder / "log")


SERVERS = {"anode": ("ANODE", start_anode), "storescp --fork": ("STORESCP", start_storescp),
           "storescp +B": ("STORESCP", start_storescp_bits), "Orthanc": ("ORTHANC", start_orthanc)}


def send(port, called, associations, columns, objects):
    command = [LOAD, "-a", associations, "-n", objects, "-s", columns, port, called]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=600, check=False)
    if done.returncode not in (0, 1):
        raise peers.PeerError(f"{LOAD.name} ended with {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)


def cpu_s(pid):
    """CPU seconds of a process and all below it, those that have ended included."""
    try:
        times = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:15]
        below = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(map(int, times)) / os.sysconf("SC_CLK_TCK") + sum(map(cpu_s, below))


class Memory(threading.Thread):
    """Watches the memory of a process and all below it until the end of the block."""

    EACH_S = 0.1

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.most_mb, self.over = pid, 0, threading.Event()

    def now_mb(self):
        total = 0
        for pid in peers.descendants(self.pid) | {self.pid}:
            try:
                rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:  # it has ended, or belongs to somebody else
                continue
            total += next((int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")), 0)
        return total / 1024

    def run(self):
        while not self.over.wait(self.EACH_S):
            self.most_mb = max(self.most_mb, self.now_mb())

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


def measure(name, folder, columns, objects):
    """{associations: what the load tool said} of a server with an empty store."""
    called, start = SERVERS[name]
    port, = peers.free_ports(1)
    with start(folder, port) as server:
        server.wait_listening(port)
        send(port, called, 1, columns, 10)
        found = {}
        for n in ASSOCIATIONS:
            before = cpu_s(server.pid)
            with Memory(server.pid) as memory:
                found[n] = send(port, called, n, columns, objects)
            found[n]["memory_mb"] = memory.most_mb
            found[n]["server_cpu_s"] = cpu_s(server.pid) - before
    shutil.rmtree(folder)
    return found


def rate(run):
    return run["ok"] / run["seconds"]


def table(title, runs):
    """runs: {(server, associations): [run, ...]}"""
    print(f"\n{title}: medians of {ROUNDS} rounds, servers in turn")
    print(f"{'server':16}{'assoc':>6}{'obj/s':>8}{'min-max':>14}{'MB/s':>7}{'p50 ms':>8}{'p99 ms':>8}{'CPU ms':>8}{'MiB':>6}{'x storescp':>12}{'x +B':>7}{'x Orthanc':>11}")
    for (server, count), each in runs.items():
        rates = [rate(r) for r in each]
        middle = statistics.median(rates)
        ratios = [middle / statistics.median(map(rate, runs[other, count])) for other in ("storescp --fork", "storescp +B", "Orthanc")]
        cpu = statistics.median(r["server_cpu_s"] / r["objects"] * 1000 for r in each)
        print(f"{server:16}{count:6}{middle:8.0f}{min(rates):8.0f}-{max(rates):<5.0f}{middle * each[0]['bytes'] / 1e6:7.0f}"
              f"{statistics.median(r['p50_ms'] for r in each):8.2f}{statistics.median(r['p99_ms'] for r in each):8.1f}{cpu:8.2f}{statistics.median(r['memory_mb'] for r in each):6.0f}{ratios[0]:12.2f}{ratios[1]:7.2f}{ratios[2]:11.2f}")


def main():
    for program in (LOAD, peers.ANODE):
        if not program.exists():
            print(f"{program} is not built")
            return 1
    peers.need("storescp", "Orthanc" if shutil.which("Orthanc") else "/usr/sbin/Orthanc")
    lost, busy = 0, os.getloadavg()[0]
    if busy > 0.5:
        print(f"load average {busy:.1f}: other work runs here, and servers of several processes suffer most from it")
    with tempfile.TemporaryDirectory(prefix="anode-bench-", dir=os.environ.get("TMPDIR")) as scratch:
        for title, columns, objects in LOADS:
            runs = {(server, n): [] for server in SERVERS for n in ASSOCIATIONS}
            for number in range(ROUNDS):
                for server in SERVERS:
                    found = measure(server, pathlib.Path(scratch) / f"{columns}-{number}-{server.split()[0]}", columns, objects)
                    for n, run in found.items():
                        runs[server, n].append(run)
                        lost += run["objects"] - run["ok"]
                        if run["ok"] < run["objects"]:
                            print(f"{server}, {n} associations: {run['objects'] - run['ok']} of {run['objects']} not answered with success")
            table(title, runs)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())

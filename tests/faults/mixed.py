"""Ten minutes of all that a node meets: series that are analysed, broken and hostile files, transfers
that are cut off, the same again and other content, silent connections, a disk that is full for a
moment, a destination that is away. The memory of its processes stays, and each analysis is delivered.

    mixed.py [MINUTES [SEED]]    prints a line a minute and a table; exit status 1 where something is wrong
"""
import collections
import contextlib
import pathlib
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "net"))
import raw  # noqa: E402
from faults import Faults  # noqa: E402
from node import CT, HANG_S, TIMES, PeerError, Sink, Site, make_series, need, ports, send, uid  # noqa: E402
import peers  # noqa: E402  (which node.py has found)
from soak import FIRST, SYNTAX, Wrong, data_sets, template  # noqa: E402
from test_delivery import parts  # noqa: E402

SAMPLE_S = 2
# Of the memory before and after: the second fifth of the time, when all caches are full, and the last.
BEFORE, AFTER = slice(20, 40), slice(80, 100)
# What may come: rows of a database that grows, and what allocators keep.
GROWTH, GROWTH_MB = 0.1, 4


class Mixed:
    def __init__(self, tmp, seed):
        self.tmp, self.random, self.total = tmp, random.Random(seed), collections.Counter()
        self.faults = Faults(tmp)
        self.port, pacs = ports(2)
        self.sink = Sink(tmp / "pacs", pacs)
        self.site = Site(tmp / "node", self.port, {"PACS": pacs}, extra=TIMES, env=self.faults.env)
        self.base, self.number = template(tmp / "template"), 0
        self.hostile = peers.hostile_files(tmp)
        self.memory = collections.defaultdict(list)  # role: [MB]

    def fresh(self):
        self.number += 1
        return self.number

    def sample(self):
        """Of core, listener and worker, which live as long as the node."""
        worker = next((w["pid"] for w in self.site.workers() if w["pid"]), 0)
        children = [int(p) for p in pathlib.Path(f"/proc/{self.site.pid}/task/{self.site.pid}/children").read_text().split()]
        listener = next((p for p in children if p != worker), 0)  # the first that the core starts
        for role, pid in (("core", self.site.pid), ("listener", listener), ("worker", worker)):
            with contextlib.suppress(OSError, AttributeError):
                text = pathlib.Path(f"/proc/{pid}/status").read_text()
                self.memory[role].append(int(text.split("VmRSS:")[1].split()[0]) / 1024)

    def series_to_analyse(self):
        send(make_series(self.tmp / "in", self.fresh()), self.port)

    def series_to_keep(self):
        """Over an association, some of it twice and some with other content."""
        sets = data_sets(self.base, FIRST + 10 * self.fresh() + 1)
        with raw.associate(self.port, CT, SYNTAX) as connection:
            for k, (sop, data) in enumerate(sets.items()):
                for content in (data, data, data[:-4] + b"abcd")[:1 + k % 3]:
                    raw.put(connection, CT, sop, content)
            raw.release(connection)

    def transfer_that_is_cut_off(self):
        with raw.associate(self.port, CT, SYNTAX) as connection:
            raw.begin(connection, CT, f"1.2.3.{self.fresh()}", next(iter(data_sets(self.base, FIRST).values()))[:3000])

    def broken_file(self):
        path = self.random.choice(self.hostile)
        if path.suffix == ".bin":
            raw.replay(self.port, path.read_bytes(), seconds=HANG_S)
        else:
            raw.store(self.port, *parts(path.read_bytes()), seconds=HANG_S)

    def silence(self):
        silent = [socket.create_connection(("127.0.0.1", self.port), HANG_S) for _ in range(100)]
        time.sleep(0.2)
        for s in silent:
            s.close()

    def disk_that_fails(self):
        self.faults.begin(*self.random.choice((("write", "/series/"), ("write", "/desks/"), ("mkdir", "/outbox/"), ("write", "state.db-wal"))))
        with contextlib.suppress(PeerError, ConnectionError):
            send(make_series(self.tmp / "in", self.fresh(), count=3), self.port, check=False)
        time.sleep(1)
        self.faults.end()

    def destination_that_is_away(self):
        self.sink.stop()
        send(make_series(self.tmp / "in", self.fresh(), count=3), self.port)
        time.sleep(3)
        self.sink = Sink(self.tmp / "pacs", self.sink.port)

    def question(self):
        for words in (("status",), ("jobs",), ("quarantine",)):
            self.site.command(*words)

    def run(self, seconds, say):
        kinds = [self.series_to_analyse, self.series_to_keep, self.transfer_that_is_cut_off, self.silence, self.disk_that_fails, self.destination_that_is_away, self.question]
        kinds += [self.broken_file] * 3 if self.hostile else []
        start = sampled = time.monotonic()
        minute = 0
        while time.monotonic() - start < seconds:
            kind = self.random.choice(kinds)
            with contextlib.suppress(ConnectionError, TimeoutError):  # it may end what is broken
                kind()
            self.total[kind.__name__.replace("_", " ")] += 1
            if time.monotonic() - sampled >= SAMPLE_S:
                self.sample()
                sampled = time.monotonic()
            if time.monotonic() - start >= 60 * (minute + 1):
                minute += 1
                say(f"minute {minute}: " + ", ".join(f"{role} {values[-1]:.1f} MB" for role, values in self.memory.items()))
        self.site.wait_idle(600)

    def check(self, say):
        wrong = []
        for role, values in self.memory.items():
            at = lambda part, v=values: statistics.median(v[len(v) * part.start // 100:len(v) * part.stop // 100] or [0])  # noqa: E731
            before, after = at(BEFORE), at(AFTER)
            say(f"{role}: {before:.1f} MB, later {after:.1f} MB, at most {max(values):.1f} MB")
            if after > before * (1 + GROWTH) + GROWTH_MB:
                wrong.append(f"the {role} had {before:.1f} MB and has {after:.1f} MB")
        jobs = self.site.rows("SELECT state, count(*) FROM job GROUP BY state")
        reports = collections.Counter(d.SOPInstanceUID for d in self.sink.objects() if d.Modality == "SR")
        self.total["analyses"], self.total["reports"] = sum(n for _, n in jobs), len(reports)
        self.total["sent twice, under the same UID"] = sum(n - 1 for n in reports.values())
        if [state for state, _ in jobs] != ["done"] or len(reports) != self.total["analyses"]:
            wrong.append(f"{len(reports)} reports of jobs {jobs}")
        if "ended by signal" in self.site.log_text():
            wrong.append("a process ended by a signal")
        if not self.site.running():
            wrong.append("the node has ended")
        return wrong


def mixed(minutes, seed, say=print):
    """Returns totals and what was wrong."""
    need("storescp", "dcmsend")
    tmp = pathlib.Path(tempfile.mkdtemp(prefix="anode-mixed-"))
    run = None
    try:
        run = Mixed(tmp, seed)
        run.site.worker()
        run.run(60 * minutes, say)
        wrong = run.check(say)
        if wrong:
            say(run.site.log_text()[-4000:])
        return run.total, wrong
    except (PeerError, subprocess.SubprocessError) as e:
        raise Wrong(f"seed {seed}: {e}\n{run.site.log_text()[-4000:] if run else ''}") from e
    finally:
        if run:
            run.site.stop()
            run.sink.stop()
        shutil.rmtree(tmp, ignore_errors=True)


def main():
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 10
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 32)
    print(f"{minutes:g} minutes, seed {seed}", flush=True)
    try:
        total, wrong = mixed(minutes, seed, lambda line: print(line, flush=True))
    except Wrong as e:
        print(f"WRONG: {e}")
        return 1
    for what, count in sorted(total.items()):
        print(f"{count:8d} {what}")
    for line in wrong:
        print(f"WRONG: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

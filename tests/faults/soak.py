"""Kills processes of a node while four associations send, and looks whether each instance that was
acknowledged is there, whole and once, and nothing else. At the end all that waits is analysed, while
workers and senders are killed: each result is delivered once.

    soak.py [ROUNDS [SEED]]      prints a line a round and a table; exit status 1 where something is wrong
"""
import collections
import hashlib
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "net"))
import raw  # noqa: E402
from node import CT, ROOT_UID, TIMES, PeerError, Sink, Site, make_series, need, ports, wait_for, yaml  # noqa: E402

ASSOCIATIONS = 4
INSTANCES = 9  # of a series, one an association; their numbers have one digit
SYNTAX = "1.2.840.10008.1.2.1"
KINDS = ("core", "all", "listener", "associations", "an association", "nobody")
FIRST = 10000001  # number of the first series: all have 8 digits, so that data sets are made by replacing
ANALYSED_EACH = 10  # of so many series one is routed: the others only have to arrive
# No device in the rounds: jobs wait, and a node starts at once.
NO_WORKER = TIMES.replace("quiet_s: 4", "quiet_s: 2", 1) + "worker: {device: none such}\n"


class Wrong(Exception):
    pass


def template(folder):
    data = make_series(folder, FIRST, count=1, size=16)[0].read_bytes()
    return data[data.index(b"\x08\0\x08\0CS"):]


def data_sets(base, number):
    """{SOP Instance UID: data set} of a series."""
    own = base.replace(f".{FIRST}.".encode(), f".{number}.".encode())
    if number % ANALYSED_EACH:
        own = own.replace(b"Ca Score", b"Thorax  ")
    first = f".{number}.3.1".encode()
    return {f"{ROOT_UID}.{number}.3.{k}": own.replace(first, f".{number}.3.{k}".encode()) for k in range(1, INSTANCES + 1)}


def digest_of_file(path):
    data = path.read_bytes()
    return hashlib.sha256(data[144 + int.from_bytes(data[140:144], "little"):]).hexdigest()


class Sender(threading.Thread):
    """Sends data sets over one association until the end, or until the node breaks it off."""

    def __init__(self, port, sets, count):
        super().__init__()
        self.port, self.sets, self.acknowledged, self.count = port, sets, [], count

    def run(self):
        try:
            connection = raw.associate(self.port, CT, SYNTAX)
            if not connection:
                return
            with connection:
                for uid, data in self.sets.items():
                    if raw.put(connection, CT, uid, data) == 0:
                        self.acknowledged.append(uid)
                        self.count()
                raw.release(connection)
        except OSError:
            pass


class Soak:
    def __init__(self, tmp, seed):
        self.tmp, self.random, self.total = tmp, random.Random(seed), collections.Counter()
        self.base = template(tmp / "template")
        self.port, pacs = ports(2)
        self.sink = Sink(tmp / "pacs", pacs)
        self.site = Site(tmp / "node", self.port, {"PACS": pacs}, extra=NO_WORKER, when='SeriesDescription: "Ca Score"')
        self.digests = {}

    def tree(self):
        """The listener, and the associations below it."""
        def below(pid):
            try:
                return [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
            except OSError:
                return []
        children = below(self.site.pid)  # no worker, and no sender while nothing is analysed
        return children, [p for child in children for p in below(child)]

    def kill(self, kind):
        listeners, associations = self.tree()
        victims = {"core": [self.site.pid], "all": [self.site.pid, *listeners, *associations], "listener": listeners, "associations": associations, "an association": associations[:1], "nobody": []}[kind]
        self.random.shuffle(victims)
        for pid in victims:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.total[f"killed: {kind}"] += 1

    def files(self):
        return {str(f.relative_to(self.site.data)) for f in (self.site.data / "series").rglob("*.dcm")}

    def drafts(self):
        return [f for f in (self.site.data / "drafts").rglob("*") if f.is_file()]

    def settled(self):
        """Files and rows agree, and there are no drafts."""
        rows = {path for (path,) in self.site.rows("SELECT path FROM instance")}
        return self.files() == rows and not self.drafts()

    def check(self, acknowledged):
        try:
            wait_for(self.settled, 20, "files and rows that agree")
        except PeerError as e:
            rows = {path for (path,) in self.site.rows("SELECT path FROM instance")}
            raise Wrong(f"files without a row {sorted(self.files() - rows)}, rows without a file {sorted(rows - self.files())}, drafts {self.drafts()}") from e
        for uid in acknowledged:
            path = self.site.has_file(uid)
            if not path:
                raise Wrong(f"{uid} was acknowledged and is not there")
            if digest_of_file(path) != self.digests[uid]:
                raise Wrong(f"{uid} is not what was sent")
        self.total["acknowledged"] += len(acknowledged)
        self.total["there, never acknowledged"] = len(self.files()) - self.total["acknowledged"]

    def round(self, number):
        kind = self.random.choice(KINDS)
        at = self.random.randrange(1, ASSOCIATIONS * INSTANCES)
        reached, done, lock = threading.Event(), [0], threading.Lock()

        def count():
            with lock:
                done[0] += 1
                if done[0] >= at:
                    reached.set()
        senders = []
        for k in range(ASSOCIATIONS):
            sets = data_sets(self.base, FIRST + number * ASSOCIATIONS + k)
            self.digests.update({uid: hashlib.sha256(data).hexdigest() for uid, data in sets.items()})
            senders.append(Sender(self.port, sets, count))
        for s in senders:
            s.start()
        while not reached.wait(0.001) and any(s.is_alive() for s in senders):
            pass
        self.kill(kind)
        if kind in ("core", "all"):
            self.site.kill()
        for s in senders:
            s.join()
        if kind in ("core", "all"):
            self.site = self.site.again()
        self.check([uid for s in senders for uid in s.acknowledged])
        return kind, sum(len(s.acknowledged) for s in senders)

    def analyse(self):
        """Starts the node with a worker, kills workers and senders a few times, waits until all is delivered."""
        self.site.stop()
        self.site.options["extra"] = TIMES
        self.site = self.site.again()
        self.site.worker()
        for _ in range(3):
            time.sleep(self.random.uniform(0.05, 0.5))
            children, _ = self.tree()
            victims = [p for p in children if p in [w["pid"] for w in self.site.workers()]] + children[-1:]
            for pid in victims[:2]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.total["killed: while it analysed"] += len(victims[:2])
        self.site.wait_idle(600)
        jobs = [j for j in self.site.rows("SELECT id, state FROM job")]
        if any(state != "done" for _, state in jobs):
            raise Wrong(f"jobs: {jobs}")
        reports = collections.Counter((d.StudyInstanceUID, d.SOPInstanceUID) for d in self.sink.objects() if d.Modality == "SR")
        studies = collections.Counter(study for study, _ in reports)
        for study, many in studies.items():
            runs = self.site.rows("SELECT count(*) FROM job WHERE study_uid = ?", study)[0][0]
            if many != runs:
                raise Wrong(f"study {study}: {many} different reports of {runs} analyses")
        self.total["analyses"] = len(jobs)
        self.total["reports"] = len(reports)
        if len(reports) != len(jobs):
            raise Wrong(f"{len(reports)} reports of {len(jobs)} analyses")
        # A sender that is killed between the answer and its record sends once more, under the same UID.
        self.total["delivered twice, under the same UID"] = sum(n - 1 for n in reports.values())


def soak(rounds, seed, say=print):
    """Returns the totals; raises Wrong."""
    need("storescp")
    tmp = pathlib.Path(tempfile.mkdtemp(prefix="anode-soak-"))
    run = None
    try:
        run = Soak(tmp, seed)
        for number in range(rounds):
            kind, acknowledged = run.round(number)
            say(f"round {number + 1}: {kind} killed, {acknowledged} of {ASSOCIATIONS * INSTANCES} acknowledged")
        run.analyse()
        return run.total
    except (Wrong, PeerError) as e:
        raise Wrong(f"seed {seed}: {e}\n{run.site.log_text()[-4000:] if run else ''}") from e
    finally:
        if run:
            run.site.stop()
            run.sink.stop()
        shutil.rmtree(tmp, ignore_errors=True)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 32)
    print(f"{rounds} rounds, seed {seed}", flush=True)
    try:
        total = soak(rounds, seed, lambda line: print(line, flush=True))
    except Wrong as e:
        print(f"WRONG: {e}")
        return 1
    for what, count in sorted(total.items()):
        print(f"{count:8d} {what}")
    print("lost 0, partial 0, orphans 0, results doubled 0")
    return 0


if __name__ == "__main__":
    sys.exit(main())

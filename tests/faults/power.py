"""Cuts the power of a node that receives, at any moment, and looks whether each instance that was
acknowledged is there, whole and once, when the node is started again.

shim_power.c writes down all file operations of a node. From them follows what is sure to be on the
disk at a moment: of a file what was synced, of a folder the names that were there when it was synced.
Of what came after that any part may be there, too: pages of a file, its size, names of a folder, one
without the other, whatever a file system does between two syncs; only a renaming is there or is not. A cut takes one of these states.

    power.py [CUTS [SEED]]      prints a line a load and a table; exit status 1 where something is wrong
"""
import collections
import hashlib
import mmap
import os
import pathlib
import random
import re
import shutil
import sqlite3
import struct
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "net"))
import faults  # noqa: E402
import raw  # noqa: E402
from node import CT, PeerError, Site, need, ports, times  # noqa: E402
from soak import FIRST, SYNTAX, data_sets, digest_of_file, template  # noqa: E402

SHIM = faults.SHIM.parent / "libshim_power.so"
LOG_BYTES = 96 << 20
PAGE = 4096  # what of a write reaches the disk alone
ASSOCIATIONS = 4
CUTS_A_LOAD = 50
# Nothing is analysed: a node starts at once, and its series wait for ever.
NO_WORKER = times(quiet_s=600, interrupted_quiet_s=600, longest_wait_s=3600) + "worker: {device: none such}\n"
QUARANTINED = 0x0111

ENTRY = struct.Struct("=IIQQIIII")
Operation = collections.namedtuple("Operation", "kind file offset path other data at")


def read_log(path):
    """The operations, in the order in which they happened."""
    with open(path, "rb") as f, mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ) as log:
        used, lost, _ = struct.unpack_from("=QQQ", log)
        if lost:
            raise PeerError(f"{lost} operations did not fit into the log")
        at, found = 0, []
        while at < used:
            size, kind, file, offset, _, path_size, other_size, data_size = ENTRY.unpack_from(log, 24 + at)
            if not size:
                break
            text = 24 + at + ENTRY.size
            names = log[text:text + path_size].decode(), log[text + path_size:text + path_size + other_size].decode()
            text += path_size + other_size
            found.append(Operation(chr(kind), file, offset, *names, log[text:text + data_size], at))
            at += size
    return [o for o in found if o.kind != "\0"]


class File:
    """Bytes that are on the disk, and what was done since."""

    def __init__(self):
        self.synced, self.since = bytearray(), []

    @staticmethod
    def apply(content, operation, part):
        """part(): whether a page of a write, or a truncation, is there."""
        if operation.kind == "T":
            if part():
                del content[operation.offset:]
                content.extend(bytes(operation.offset - len(content)))
            return
        end = operation.offset + len(operation.data)
        for first in range(operation.offset - operation.offset % PAGE, end, PAGE):
            begin, stop = max(first, operation.offset), min(first + PAGE, end)
            if part():
                if len(content) < stop:
                    content.extend(bytes(stop - len(content)))
                content[begin:stop] = operation.data[begin - operation.offset:stop - operation.offset]

    def sync(self):
        for operation in self.since:
            self.apply(self.synced, operation, lambda: True)
        self.since = []

    def after_cut(self, part):
        content = bytearray(self.synced)
        for operation in self.since:
            self.apply(content, operation, part)
        return content


class Disk:
    """What a disk is sure to hold of the folder root, operation by operation."""

    def __init__(self, root):
        self.root = str(root)
        self.files = {}  # inode: File
        self.names = {}  # path: inode of a file, or None for a folder; as the node sees them
        self.synced = {}  # the same, as the disk has them
        self.since = []  # (place in the log, path, inode, None, or "" for a name that is gone)

    def set_name(self, at, path, file):
        if path.startswith(self.root + "/"):
            if file == "":
                self.names.pop(path, None)
            else:
                self.names[path] = file
            self.since.append((at, path, file))

    def moved(self, operation):
        file = self.names.get(operation.path, "")
        if file is None:
            raise PeerError(f"{operation.path}: a folder was renamed, which this does not follow")
        self.set_name(operation.at, operation.path, "")
        if file != "":
            self.set_name(operation.at, operation.other, file)

    @staticmethod
    def put_name(names, path, file):
        if file == "":
            names.pop(path, None)
        else:
            names[path] = file

    def do(self, operation):
        kind = operation.kind
        if kind == "C":
            if self.names.get(operation.path) != operation.file:
                self.files[operation.file] = File()
                self.set_name(operation.at, operation.path, operation.file)
            elif operation.offset:
                self.files[operation.file].since.append(operation._replace(kind="T", offset=0))
        elif kind in "WT" and operation.file in self.files:
            self.files[operation.file].since.append(operation)
        elif kind == "R":
            self.moved(operation)
        elif kind == "U":
            self.set_name(operation.at, operation.path, "")
        elif kind == "M":
            self.set_name(operation.at, operation.path, None)
        elif kind == "F" and operation.path:  # names that came while it was synced may not be there
            folder = [s for s in self.since if s[0] < operation.offset and s[1].rpartition("/")[0] == operation.path]
            for _, path, file in folder:
                self.put_name(self.synced, path, file)
            gone = set(map(id, folder))
            self.since = [s for s in self.since if id(s) not in gone]
        elif kind == "F" and operation.file in self.files:
            self.files[operation.file].sync()

    def after_cut(self, part, to):
        """Writes what the disk has after a cut. part(): whether something that was not synced is there."""
        names = dict(self.synced)
        there = {}  # a file that is renamed has one of its names: its operation is there, or it is not
        for at, path, file in self.since:
            if there.setdefault(at, part()):
                self.put_name(names, path, file)
        to.mkdir(parents=True)
        for path in sorted(p for p, file in names.items() if file is None):
            target = to / path[len(self.root) + 1:]
            if target.parent.is_dir():
                target.mkdir(exist_ok=True)
        for path, file in names.items():
            target = to / path[len(self.root) + 1:]
            if file is not None and target.parent.is_dir() and not path.endswith("-shm"):
                target.write_bytes(self.files[file].after_cut(part))


def answer(data):
    """(SOP Instance UID, status) of a C-STORE answer, or None."""
    uid = re.search(rb"\0\0\0\x10..\0\0([0-9.]+)", data, re.S)
    status = re.search(rb"\0\0\0\x09\x02\0\0\0(..)", data, re.S)
    return (uid.group(1).decode(), struct.unpack("<H", status.group(1))[0]) if uid and status else None


def other_content(data):
    return data[:-4] + b"abcd"


class Load:
    """Some series that four associations send at once, some instances twice and some with other
    content, and what the node did with them."""

    def __init__(self, tmp, base, number, series, port, leave_out=""):
        self.tmp, self.port = tmp, port
        tmp.mkdir()
        log = tmp / "operations"
        with open(log, "wb") as f:
            f.truncate(LOG_BYTES)
        site = Site(tmp / "node", port, {"PACS": port}, extra=NO_WORKER,
                    env={"LD_PRELOAD": faults.preload(SHIM), "POWER_LOG": str(log), "POWER_LEAVE_OUT": leave_out})
        self.digests = {}
        try:
            senders = []
            for k in range(ASSOCIATIONS):
                sets = {}
                for s in range(series):
                    sets.update(data_sets(base, FIRST + (number * ASSOCIATIONS + k) * series + s))
                self.digests.update({uid: {hashlib.sha256(d).hexdigest() for d in (data, other_content(data))} for uid, data in sets.items()})
                senders.append(threading.Thread(target=self.send, args=(sets,)))
            for s in senders:
                s.start()
            for s in senders:
                s.join()
        finally:
            site.stop()
        self.root = site.data
        self.operations = read_log(log)
        log.unlink()

    def send(self, sets):
        connection = raw.associate(self.port, CT, SYNTAX)
        with connection:
            for k, (uid, data) in enumerate(sets.items()):
                raw.put(connection, CT, uid, data)
                if k % 5 == 0:
                    raw.put(connection, CT, uid, data)
                if k % 7 == 0:
                    raw.put(connection, CT, uid, other_content(data))
            raw.release(connection)

    def answers(self):
        """[(number of the operation before which it was given, SOP Instance UID, status)]"""
        found = [(k, answer(o.data)) for k, o in enumerate(self.operations) if o.kind == "S"]
        return [(k, *a) for k, a in found if a]

    def cut(self, at, part, port, leave=None):
        """Violations after a cut before the operation of that number: a list of words."""
        disk = Disk(self.root)
        for operation in self.operations[:at]:
            disk.do(operation)
        folder = self.tmp / "after"
        shutil.rmtree(folder, ignore_errors=True)
        disk.after_cut(part, folder / "data")
        given = [(uid, status) for k, uid, status in self.answers() if k < at]
        try:
            site = Site(folder, port, {"PACS": port}, extra=NO_WORKER)
        except PeerError as e:
            return [f"the node does not start: {e}"]
        try:
            return self.judge(site, given)
        finally:
            site.stop()
            if leave:
                leave(folder)

    def judge(self, site, given):
        wrong = []
        with sqlite3.connect(f"file:{site.data / 'state.db'}?mode=ro", uri=True, timeout=10) as db:
            rows = dict(db.execute("SELECT sop_uid, path FROM instance"))
            kept = collections.defaultdict(list)
            for uid, path in db.execute("SELECT sop_uid, path FROM quarantine"):
                kept[uid].append(path)
        for uid, status in given:
            if status not in (0, QUARANTINED):
                wrong.append(f"{uid} was answered {status:04x}")
            paths = [rows[uid]] if status == 0 and uid in rows else kept[uid] if status == QUARANTINED else []
            if not paths:
                wrong.append(f"{uid} was answered {status:04x} and is not there")
        for uid, path in [*rows.items(), *((uid, path) for uid, paths in kept.items() for path in paths)]:
            file = site.data / path
            if not file.is_file():
                wrong.append(f"{uid}: {path} is missing")
            elif digest_of_file(file) not in self.digests[uid]:
                wrong.append(f"{uid}: {path} is not what was sent")
        files = {str(f.relative_to(site.data)) for f in (site.data / "series").rglob("*.dcm")}
        wrong += [f"{path} has no row" for path in sorted(files - set(rows.values()))]
        drafts = [f for f in (site.data / "drafts").rglob("*") if f.is_file()]
        return wrong + [f"draft {f.name} is left" for f in drafts]


def parts(kind, chance):
    """Which of what was not synced is there: nothing, all of it, or any part."""
    return {"nothing": lambda: False, "all": lambda: True, "any": lambda: chance.random() < 0.5}[kind]


def cuts(count, seed, say=print):
    """Cuts the power so many times. Returns totals and what was wrong."""
    need(SHIM)
    chance, total, wrong = random.Random(seed), collections.Counter(), []
    tmp = pathlib.Path(tempfile.mkdtemp(prefix="anode-power-"))
    try:
        base = template(tmp / "template")
        listening, again = ports(2)
        for number in range((count + CUTS_A_LOAD - 1) // CUTS_A_LOAD):
            load = Load(tmp / f"load-{number}", base, number, 3, listening)
            given = load.answers()
            total["operations"] += len(load.operations)
            total["answers"] += len(given)
            for k in range(number * CUTS_A_LOAD, min(count, (number + 1) * CUTS_A_LOAD)):
                # Half of the cuts are just after an answer.
                at = chance.choice(given)[0] + 1 if k % 2 else chance.randrange(len(load.operations) + 1)
                kind = chance.choice(("nothing", "any", "any", "all"))
                found = load.cut(at, parts(kind, chance), again)
                total[f"cuts, {kind} of what was not synced is there"] += 1
                total["acknowledged before them"] += sum(1 for g in given if g[0] < at)
                wrong += [f"seed {seed} load {number} cut before operation {at}, {kind}: {w}" for w in found]
            say(f"load {number + 1}: {len(load.operations)} operations, {len(given)} answers; wrong so far: {len(wrong)}")
            shutil.rmtree(load.tmp)
    finally:
        shutil.rmtree(tmp, ignore_errors=True)
    return total, wrong


def forgetful(what):
    """A cut after the last answer, of a node that leaves out the syncs of what."""
    need(SHIM)
    tmp = pathlib.Path(tempfile.mkdtemp(prefix="anode-power-"))
    try:
        listening, again = ports(2)
        load = Load(tmp / "load", template(tmp / "template"), 0, 1, listening, leave_out=what)
        return load.cut(load.answers()[-1][0] + 1, parts("nothing", None), again)
    finally:
        shutil.rmtree(tmp, ignore_errors=True)


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 32)
    print(f"{count} cuts, seed {seed}", flush=True)
    total, wrong = cuts(count, seed, lambda line: print(line, flush=True))
    for what, number in sorted(total.items()):
        print(f"{number:8d} {what}")
    for line in wrong[:20]:
        print(f"WRONG: {line}")
    print(f"violations {len(wrong)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

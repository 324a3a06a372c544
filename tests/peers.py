"""The site around the node, for tests, benchmarks and the demo: a PACS (Orthanc) and the node itself
as child processes on loopback, DCMTK's sender, and waiting for conditions.

Every process is a context manager: it ends with its block, whatever happens, and dies with us.
"""
import contextlib
import ctypes
import fcntl
import hashlib
import io
import json
import lzma
import os
import pathlib
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import urllib.request

import pydicom

ROOT = pathlib.Path(__file__).resolve().parent.parent
ANODE = pathlib.Path(os.environ.get("ANODE", ROOT / "build" / "anode"))
SHAPES = pathlib.Path(os.environ.get("ANODE_SHAPES", ANODE.parent / "tests" / "anode_shapes"))  # with the stages of tests/shapes
SKIP = 77
POLL_S = 0.05  # between two looks at a condition that nothing announces
HANG_S = 1200  # of wall time, for one program that a test runs: no program takes that long on any machine


class PeerError(Exception):
    pass


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIP)


def need(*programs):
    """Ends the test as skipped when a program is not installed."""
    for program in programs:
        if shutil.which(program) is None and not pathlib.Path(program).exists():
            skip(f"{program} is not installed")


def shared_data(*parts):
    """A path below the shared test data, or None where it is absent."""
    folder = pathlib.Path(os.environ.get("ANODE_TEST_DATA", ROOT.parent / "shared" / "data"))
    path = folder.joinpath(*parts)
    return path if path.exists() else None


def hostile_files(scratch):
    """Broken and hostile files of the shared data, those that are packed unpacked below scratch; none where the data are absent."""
    found = []
    for folder in filter(None, (shared_data("dicom", "bad"), shared_data("dicom", "hostile"))):
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            if path.suffix == ".xz":
                packed, path = path, pathlib.Path(scratch) / path.stem
                path.write_bytes(lzma.decompress(packed.read_bytes()))
            found.append(path)
    return found


_reserved, _reserving = [], threading.Lock()


def reserve_port(port):
    """Whether the port of loopback is ours now, until this process ends: nobody listens on it, and
    no other test holds the name that stands for it in the abstract namespace."""
    name, tcp = socket.socket(socket.AF_UNIX), socket.socket()
    try:
        name.bind(f"\0anode-test-port-{port}")
        tcp.bind(("127.0.0.1", port))
    except OSError:
        name.close()
        return False
    finally:
        tcp.close()
    _reserved.append(name)
    return True


def free_ports(count):
    """Ports nobody listens on; all different, and given to no other test while this process lives.
    They lie below those that the system gives to connections."""
    try:
        low = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except OSError:
        low = 32768
    first, last = (max(1024, low - 16384), low - 1) if low > 2048 else (20000, 32000)
    with _reserving:
        found = []
        for port in random.SystemRandom().sample(range(first, last + 1), last - first + 1):
            if len(found) == count:
                return found
            if reserve_port(port):
                found.append(port)
        raise PeerError(f"no {count} free ports from {first} to {last}")


class Patience:
    """How long one has waited, for time-outs that are there for hangs only: a second counts in full
    while the machine has half a processor to spare, and a twentieth while it has not, as then what is
    waited for may well be ready to run and not get its turn."""

    SPARE, BUSY_WEIGHT = 0.5, 0.05

    def __init__(self):
        self.spent, self.last = 0.0, self.look()

    @staticmethod
    def look():
        """(seconds of the clock, seconds that our processors stood idle, microseconds that a quota took)"""
        idle = throttled = 0.0
        with contextlib.suppress(OSError, ValueError, IndexError):
            ours = {f"cpu{n}" for n in os.sched_getaffinity(0)}
            rows = (line.split() for line in pathlib.Path("/proc/stat").read_text().splitlines())
            idle = sum(int(row[4]) for row in rows if row and row[0] in ours) / os.sysconf("SC_CLK_TCK")
        with contextlib.suppress(OSError, ValueError, IndexError):
            text = pathlib.Path("/sys/fs/cgroup/cpu.stat").read_text()
            throttled = float(text.split("throttled_usec")[1].split()[0])
        return time.monotonic(), idle, throttled

    def count(self):
        """Seconds counted so far."""
        now = self.look()
        took, idle, throttled = (a - b for a, b in zip(now, self.last))
        if took >= 0.5:  # idle time is counted in hundredths of a second
            self.spent += took * (1 if idle >= self.SPARE * took and not throttled else self.BUSY_WEIGHT)
            self.last = now
        return self.spent


def wait_for(condition, seconds, what):
    """Returns condition()'s first true value; PeerError when none came in time. seconds are for hangs
    and count by Patience: no test may depend on how many there are."""
    start, patience = time.monotonic(), Patience()
    while True:
        value = condition()
        if value:
            return value
        if patience.count() > seconds:
            raise PeerError(f"waited {seconds:g} s ({time.monotonic() - start:.0f} s of the clock) for {what}")
        time.sleep(POLL_S)


def listens(port):
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex(("127.0.0.1", port)) == 0


def dies_with_us():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def dicom_files(folder):
    """Files below folder that have a DICOM preamble, sorted."""
    found = []
    for path in sorted(pathlib.Path(folder).rglob("*")):
        if path.is_file():
            with open(path, "rb") as f:
                if f.read(132)[128:] == b"DICM":
                    found.append(path)
    return found


class Process:
    """A child with its output in a file. stop() ends it by SIGTERM, later by SIGKILL."""

    def __init__(self, command, log, cwd=None, env=None):
        self.log = pathlib.Path(log)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        environment = dict(os.environ, TCP_NODELAY="1", **(env or {}))
        with open(self.log, "ab") as out:
            self.child = subprocess.Popen([str(c) for c in command], stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                                          cwd=cwd, env=environment, start_new_session=True, preexec_fn=dies_with_us)

    @property
    def pid(self):
        return self.child.pid

    def running(self):
        return self.child.poll() is None

    def wait_listening(self, port, seconds=60):
        def ready():
            if not self.running():
                raise PeerError(f"ended with status {self.child.returncode}:\n{self.tail()}")
            return listens(port)
        wait_for(ready, seconds, f"port {port} ({self.log.name}: {self.tail(3)})")

    def tail(self, lines=20):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self, seconds=30):
        """Returns the exit status, negative for a signal."""
        if self.running():
            self.child.terminate()
            try:
                wait_for(lambda: not self.running(), seconds, f"the end of {self.log.name}")
            except PeerError:
                self.child.kill()
        return self.child.wait()

    def kill(self):
        if self.running():
            self.child.kill()
        self.child.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Orthanc(Process):
    """The PACS of conf/site/orthanc.json with its router, in a folder of its own."""

    def __init__(self, folder, dicom_port, http_port, node_port, route=True, **settings):
        need("Orthanc" if shutil.which("Orthanc") else "/usr/sbin/Orthanc", "/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        conf = json.loads((ROOT / "conf" / "site" / "orthanc.json").read_text())
        conf.update(StorageDirectory=str(folder / "db"), IndexDirectory=str(folder / "db"), DicomPort=dicom_port, HttpPort=http_port)
        conf["DicomModalities"]["ANODE"]["Port"] = node_port
        conf["LuaScripts"] = [str(ROOT / "conf" / "site" / "route.lua")] if route else []
        conf.update(settings)
        (folder / "orthanc.json").write_text(json.dumps(conf, indent=1))
        super().__init__([shutil.which("Orthanc") or "/usr/sbin/Orthanc", folder / "orthanc.json"], folder / "orthanc.log", cwd=folder)
        self.dicom_port, self.http_port = dicom_port, http_port
        self.url = f"http://127.0.0.1:{http_port}"
        try:
            self.wait_listening(http_port)
            self.wait_listening(dicom_port)
        except BaseException:
            self.stop()
            raise

    def get(self, path, raw=False):
        with urllib.request.urlopen(self.url + path, timeout=HANG_S) as answer:
            data = answer.read()
        return data if raw else json.loads(data)

    def post(self, path, body):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(self.url + path, data=data, method="POST"), timeout=HANG_S) as answer:
            return json.loads(answer.read() or b"null")

    def find(self, level, **query):
        return self.post("/tools/find", {"Level": level, "Query": query, "Expand": True})

    def series(self, study_uid):
        """Series of a study: [{'ID', 'Modality', 'SeriesDescription', 'SeriesInstanceUID', 'Instances': [...]}]"""
        found = self.find("Series", StudyInstanceUID=study_uid)
        return [dict(s["MainDicomTags"], ID=s["ID"], Instances=s["Instances"]) for s in found]

    def file(self, instance):
        """The bytes of an instance."""
        return self.get(f"/instances/{instance}/file", raw=True)

    def read(self, instance):
        return pydicom.dcmread(io.BytesIO(self.file(instance)))


def node_yaml(data_dir, port, peers, route="calcium", when=None, extra=""):
    """A configuration. peers: {AE title: port}; the first one is asked by C-FIND."""
    lines = ["node:", "  ae_title: ANODE", "  bind: 127.0.0.1", f"  port: {port}", f"  data_dir: {data_dir}", "peers:"]
    for title, peer_port in peers.items():
        lines += [f"  - ae_title: {title}", "    host: 127.0.0.1", f"    port: {peer_port}"]
    lines += ["routes:", f"  - name: {route}", "    when:"]
    lines += [f"      {keyword}: {pattern}" for keyword, pattern in (when or {"Modality": "CT"}).items()]
    lines += [f"    run: {route}", "    results: [sr, gsps, sc]", "    return_to: [source]"]
    return "\n".join(lines) + "\n" + extra


class Node(Process):
    """anode serve; program: anode or SHAPES."""

    def __init__(self, folder, port, peers, yaml=None, env=None, program=ANODE, **options):
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        if not program.exists():
            raise PeerError(f"{program} is not built")
        self.port, self.conf, self.program, self.data = port, folder / "anode.yaml", program, folder / "data"
        self.conf.write_text(yaml or node_yaml(folder / "data", port, peers, **options))
        super().__init__([program, "serve", "-c", self.conf], folder / "anode.log", env=env)
        try:
            self.wait_listening(port)
        except BaseException:
            self.stop()
            raise

    def command(self, *arguments, check=True):
        """anode status, anode jobs ... on this node's configuration."""
        return subprocess.run([self.program, arguments[0], "-c", self.conf, *arguments[1:]], capture_output=True, text=True, check=check, timeout=HANG_S)

    # node/proc/msg.h: kinds of message, verbs.
    MSG_CONTROL, MSG_TEXT = 12, 13
    VERB_STATUS, VERB_JOBS, VERB_SHOW = 0, 1, 2

    def ask(self, verb, number=0):
        """What the command that stands for verb prints with --json, from the socket that it asks: waiting
        asks often, and a process each time costs more than what is waited for."""
        folder = os.open(self.data, os.O_PATH)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as core:
                core.settimeout(HANG_S)
                core.connect(f"/proc/self/fd/{folder}/anode.sock")
                core.send(struct.pack("=QQIxxxxq", self.MSG_CONTROL, 0, verb, number))
                pieces = []
                while True:
                    packet = core.recv(65536)
                    kind = struct.unpack_from("=Q", packet)[0] if len(packet) >= 16 else None
                    if kind != self.MSG_TEXT:
                        raise PeerError(f"the node answers with a message of kind {kind}:\n{self.tail(5)}")
                    if len(packet) == 16:
                        return json.loads(b"".join(pieces))
                    pieces.append(packet[16:])
        finally:
            os.close(folder)


def store(files, port, called="ORTHANC", calling="MODALITY", host="127.0.0.1"):
    """Sends files by C-STORE over one association (dcmsend); PeerError unless all were accepted."""
    need("dcmsend")
    command = ["dcmsend", "-aet", calling, "-aec", called, "--no-uid-checks", host, str(port), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, env=dict(os.environ, TCP_NODELAY="1"))
    if done.returncode != 0:
        raise PeerError(f"dcmsend ended with {done.returncode}: {done.stdout[-1000:]}{done.stderr[-1000:]}")


@contextlib.contextmanager
def made_once(folder):
    """For a folder below build that is made once and used by all: gives an empty draft to fill, or None
    when the folder is there. Of several processes one makes it, the others wait."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_name(folder.name + ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():
            yield None
            return
        for left in folder.parent.glob(folder.name + ".*"):  # by somebody who was killed
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
        draft = pathlib.Path(tempfile.mkdtemp(prefix=folder.name + ".", dir=folder.parent))
        try:
            yield draft
            draft.rename(folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def phantom(*arguments, generator="calcium"):
    """The folder of a synthetic series (tests/phantom/<generator>.py) with its truth.json, made once
    for these arguments and this generator; those of an earlier generator are removed."""
    script = ROOT / "tests" / "phantom" / f"{generator}.py"
    digest = lambda data: hashlib.sha256(data).hexdigest()[:12]  # noqa: E731
    prefix = f"{generator}-{digest(script.read_bytes())}-"
    folder = ROOT / "build" / "phantoms" / (prefix + digest(repr(arguments).encode()))
    with made_once(folder) as draft:
        if draft:
            for old in folder.parent.glob(f"{generator}-*"):
                if not old.name.startswith(prefix) and old.is_dir():
                    shutil.rmtree(old, ignore_errors=True)
            subprocess.run(["/usr/bin/python3", script, draft, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL, timeout=HANG_S)
    return folder


def unpacked(*parts):
    """The one folder inside an archive of the shared test data, or None where it is absent."""
    archive = shared_data(*parts)
    if archive is None:
        return None
    folder = ROOT / "build" / "unpacked" / archive.name
    with made_once(folder) as draft:
        if draft:
            with tarfile.open(archive) as tar:
                tar.extractall(draft)
    return folder


def wait_results(pacs, node, study, seconds=300):
    """{modality: series} of the results in the PACS, once there is a report and a page, and the node
    has nothing more to send. Ends early when the node ends."""
    def ours():
        return {s["Modality"]: s for s in pacs.series(study) if int(s.get("SeriesNumber") or 0) >= 9000}

    def complete():
        if not node.running():
            raise PeerError(f"the node ended:\n{node.tail()}")
        if not {"SR", "OT"} <= ours().keys():
            return None
        status = node.ask(node.VERB_STATUS)
        return ours() if not any(peer["outbox"]["pending"] for peer in status["peers"]) else None
    try:
        return wait_for(complete, seconds, "results in the PACS")
    except PeerError as error:
        series = [(s["Modality"], s.get("SeriesDescription")) for s in pacs.series(study)]
        raise PeerError(f"{error}\nseries in the PACS: {series}\n{node.tail()}") from error


def descendants(pid):
    """Process ids below pid."""
    parents = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:  # it has just ended
            continue
        parents[int(stat.parent.name)] = int(text[text.rindex(")") + 2:].split()[1])
    found = {pid}
    while True:
        more = {p for p, parent in parents.items() if parent in found} - found
        if not more:
            return found - {pid}
        found |= more


def memory(pid, key):
    """VmRSS or VmHWM of a process in bytes; 0 when it has ended."""
    try:
        lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(key + ":")), 0)

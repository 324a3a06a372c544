"""The site around the node, for tests, benchmarks and the demo: a PACS (Orthanc) and the node itself
as child processes on loopback, DCMTK's sender, and waiting for conditions.

Every process is a context manager: it ends with its block, whatever happens, and dies with us.
"""
import ctypes
import hashlib
import io
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request

import pydicom

ROOT = pathlib.Path(__file__).resolve().parent.parent
ANODE = pathlib.Path(os.environ.get("ANODE", ROOT / "build" / "anode"))
SKIP = 77


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


def free_ports(count):
    """Ports nobody listens on now; all different."""
    held = [socket.socket() for _ in range(count)]
    try:
        for s in held:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in held]
    finally:
        for s in held:
            s.close()


def wait_for(condition, seconds, what):
    """Returns condition()'s first true value; PeerError when none came in time."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise PeerError(f"waited {seconds:g} s for {what}")
        time.sleep(0.05)


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
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
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
        with urllib.request.urlopen(self.url + path, timeout=60) as answer:
            data = answer.read()
        return data if raw else json.loads(data)

    def post(self, path, body):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(self.url + path, data=data, method="POST"), timeout=60) as answer:
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
    """anode serve."""

    def __init__(self, folder, port, peers, yaml=None, env=None, **options):
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        if not ANODE.exists():
            raise PeerError(f"{ANODE} is not built")
        self.port, self.conf = port, folder / "anode.yaml"
        self.conf.write_text(yaml or node_yaml(folder / "data", port, peers, **options))
        super().__init__([ANODE, "serve", "-c", self.conf], folder / "anode.log", env=env)
        try:
            self.wait_listening(port)
        except BaseException:
            self.stop()
            raise

    def command(self, *arguments, check=True):
        """anode status, anode jobs ... on this node's configuration."""
        return subprocess.run([ANODE, arguments[0], "-c", self.conf, *arguments[1:]], capture_output=True, text=True, check=check, timeout=60)


def store(files, port, called="ORTHANC", calling="MODALITY", host="127.0.0.1"):
    """Sends files by C-STORE over one association (dcmsend); PeerError unless all were accepted."""
    need("dcmsend")
    command = ["dcmsend", "-aet", calling, "-aec", called, "--no-uid-checks", host, str(port), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=dict(os.environ, TCP_NODELAY="1"))
    if done.returncode != 0:
        raise PeerError(f"dcmsend ended with {done.returncode}: {done.stdout[-1000:]}{done.stderr[-1000:]}")


def phantom(*arguments):
    """The folder of a synthetic thorax (tests/phantom/calcium.py), made once for these arguments."""
    script = ROOT / "tests" / "phantom" / "calcium.py"
    key = hashlib.sha256(script.read_bytes() + repr(arguments).encode()).hexdigest()[:16]
    folder = ROOT / "build" / "phantoms" / key
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = pathlib.Path(tempfile.mkdtemp(prefix=key, dir=folder.parent))
        subprocess.run(["/usr/bin/python3", script, draft, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)
        try:
            draft.rename(folder)
        except OSError:  # somebody else was faster
            shutil.rmtree(draft)
    return folder


def unpacked(*parts):
    """The one folder inside an archive of the shared test data, or None where it is absent."""
    archive = shared_data(*parts)
    if archive is None:
        return None
    folder = ROOT / "build" / "unpacked" / archive.name
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = pathlib.Path(tempfile.mkdtemp(prefix=archive.name, dir=folder.parent))
        with tarfile.open(archive) as tar:
            tar.extractall(draft)
        try:
            draft.rename(folder)
        except OSError:
            shutil.rmtree(draft)
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
        status = json.loads(node.command("status", "--json").stdout)
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

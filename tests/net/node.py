"""What the tests of the node share: small CT series of known UIDs, a destination that writes down
what it gets, a node whose short times make waiting short, and ways to look into it.
"""
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import peers  # noqa: E402
from peers import HANG_S, Node, Orthanc, PeerError, Process, need, wait_for  # noqa: E402, F401

CT = "1.2.840.10008.5.1.4.1.1.2"
ROOT_UID = "1.2.826.0.1.3680043.10.1234"
PATIENT = "Geheim^Erika"  # must appear in no log
_TIMES = {
    # quiet_s is longer than a sender pauses: a test that ends a series by it says so by a time of its own.
    "completion": {"quiet_s": 4, "short_quiet_s": 0.3, "interrupted_quiet_s": 6, "longest_wait_s": 30, "find_timeout_s": 2},
    "limits": {"min_free_mib": 16},
    "sending": {"retry_first_s": 0.5, "retry_max_s": 2},
}


def times(**changed):
    """The part of a configuration that makes waiting short; keys of these sections by name."""
    sections = {"max_associations": "limits", "max_associations_per_peer": "limits", "dimse_timeout_s": "limits"}
    found = {name: dict(keys) for name, keys in _TIMES.items()}
    for key, value in changed.items():
        section = sections.get(key) or next(name for name, keys in _TIMES.items() if key in keys)
        found[section][key] = value
    return "".join(f"{name}:\n" + "".join(f"  {key}: {value}\n" for key, value in keys.items()) for name, keys in found.items())


TIMES = times()
NEVER_QUIET = times(quiet_s=600, longest_wait_s=3600)  # only what the source says ends a series


def make_series(folder, number, count=8, description="Ca Score", modality="CT", size=64, seed=0, **attributes):
    """A CT series of count slices; everything in it follows from number and seed. Returns its files."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(1000 * number + seed)
    y, x = np.mgrid[0:size, 0:size]
    body = (x - size / 2) ** 2 + (y - size / 2) ** 2 < (size * 0.45) ** 2
    files = []
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CT
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    d = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    d.is_little_endian, d.is_implicit_VR = True, False
    d.StudyInstanceUID, d.SeriesInstanceUID = f"{ROOT_UID}.{number}.1", f"{ROOT_UID}.{number}.2"
    d.FrameOfReferenceUID = f"{ROOT_UID}.{number}.4"
    d.PatientName, d.PatientID, d.PatientBirthDate, d.PatientSex = PATIENT, f"ID{number}", "19500101", "F"
    d.StudyDate, d.StudyTime, d.StudyID, d.AccessionNumber = "20260101", "120000", str(number), f"A{number}"
    d.ReferringPhysicianName = ""
    d.Modality, d.Manufacturer, d.SeriesDescription = modality, "phantom", description
    d.SeriesNumber, d.KVP, d.SliceThickness = 3, 120, 3
    d.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    d.PixelSpacing = [200 / size, 200 / size]
    d.Rows = d.Columns = size
    d.SamplesPerPixel, d.PhotometricInterpretation = 1, "MONOCHROME2"
    d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 16, 12, 11, 0
    d.RescaleIntercept, d.RescaleSlope, d.RescaleType = -1024, 1, "HU"
    d.SOPClassUID, d.ImageOrientationPatient = CT, [1, 0, 0, 0, 1, 0]
    for k in range(count):
        path = folder / f"im-{k + 1:04d}.dcm"
        meta.MediaStorageSOPInstanceUID = f"{ROOT_UID}.{number}.3.{k + 1}"
        d.SOPInstanceUID, d.InstanceNumber = meta.MediaStorageSOPInstanceUID, k + 1
        d.ImagePositionPatient = [-100, -100, 3.0 * k]
        values = np.where(body, 1064, 24) + noise.integers(0, 20, (size, size))
        d.PixelData = values.astype("<u2").tobytes()
        for keyword, value in attributes.items():
            setattr(d, keyword, value)
        d.save_as(str(path), write_like_original=False)
        files.append(path)
    return files


ports = peers.free_ports


# Others use the same ones: golden/calcium_sr, golden/growth.
HEART = ("--seed", "14", "--size", "320", "--fov", "350", "--noise", "16", "--tilt", "20")
CHEST = ("--seed", "1", "--size", "320", "--fov", "350", "--slices", "29", "--increment", "5", "--thickness", "5", "--noise", "14")


def phantom(arguments=HEART):
    """A thorax with coronary calcium that can be scored, or in fewer slices with lungs that can be measured: its files and its study."""
    files = peers.dicom_files(peers.phantom(*arguments))
    return files, str(pydicom.dcmread(str(files[0]), stop_before_pixels=True).StudyInstanceUID)


def uid(path):
    return str(pydicom.dcmread(str(path), stop_before_pixels=True).SOPInstanceUID)


def yaml(data_dir, port, peers, extra="", when="Modality: CT", options="", node="", return_to="source", find=(), run="calcium", results="sr, gsps, sc", route="", plain=None, peer=""):
    """A configuration of peers {AE title: port}. plain: node.port where it is not the port that one waits for; peer: more keys of each peer."""
    lines = ["node:", "  ae_title: ANODE", "  bind: 127.0.0.1", f"  port: {port if plain is None else plain}", f"  data_dir: {data_dir}"]
    lines += [f"  {line}" for line in node.splitlines()]
    lines += ["peers:"]
    for title, peer_port in peers.items():
        lines += [f"  - ae_title: {title}", "    host: 127.0.0.1", f"    port: {peer_port}", f"    find: {'true' if title in find else 'false'}"]
        lines += [f"    {line}" for line in peer.splitlines()]
    lines += ["routes:", f"  - name: {route or run}", "    when:", f"      {when}", f"    run: {run}", f"    results: [{results}]", f"    return_to: [{return_to}]"]
    lines += [f"    options: {{{options}}}"] if options else []
    return "\n".join(lines) + "\n" + (extra or TIMES)


class Site(Node):
    """A node with its configuration in folder; may be started again on what is there."""

    def __init__(self, folder, port, peers, env=None, program=peers.ANODE, **options):
        self.folder = pathlib.Path(folder)
        self.peers, self.options, self.environment = peers, options, env
        super().__init__(folder, port, peers, yaml=yaml(self.folder / "data", port, peers, **options), env=env, program=program)
        try:  # connections wait in the backlog while files and rows are made to agree
            wait_for(lambda: not self.running() or self.answers(), 60, "the node to answer")
        except BaseException:
            self.stop()
            raise

    def again(self):
        """The node once more, after stop() or kill()."""
        return Site(self.folder, self.port, self.peers, env=self.environment, program=self.program, **self.options)

    def kill(self):
        """SIGKILL to the core, which takes all others with it; waits until they are gone."""
        others = self.children()
        super().kill()
        wait_for(lambda: not any(pathlib.Path(f"/proc/{pid}").exists() for pid in others), 10, "the end of the processes of a killed node")

    def answers(self):
        try:
            return bool(self.status())
        except OSError:
            return False

    def status(self):
        return self.ask(self.VERB_STATUS)

    def jobs(self):
        return self.ask(self.VERB_JOBS)["jobs"]

    def job(self, number):
        return self.ask(self.VERB_SHOW, number)

    def series(self, series_uid):
        return next((s for s in self.status()["series"] if s["series"] == series_uid), None)

    def idle(self):
        """Everything received has been decided, analysed and delivered."""
        now = self.status()
        return (not any(s["state"] == "receiving" for s in now["series"]) and not now["collections"]
                and not any(j["state"] in ("queued", "running") for j in now["jobs"])
                and not any(p["outbox"]["pending"] for p in now["peers"])) and now

    def wait_idle(self, seconds=60):
        return wait_for(self.idle, seconds, f"an idle node ({self.tail(5)})")

    def children(self):
        """Pids of the processes below the core."""
        found, todo = [], [self.pid]
        while todo:
            parent = todo.pop()
            try:
                listed = pathlib.Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            todo += map(int, listed)
            found += map(int, listed)
        return found

    def workers(self, *states):
        """The workers, or those in one of states."""
        return [w for w in self.status()["workers"] if not states or w["state"] in states]

    def worker(self):
        """Pid of the one worker, once it can take a job."""
        return wait_for(lambda: self.workers("idle", "running"), 60, f"a worker that is ready ({self.tail(5)})")[0]["pid"]

    def rows(self, query, *values):
        """Looks into the state database."""
        with sqlite3.connect(f"file:{self.data / 'state.db'}?mode=ro", uri=True, timeout=10) as db:
            return db.execute(query, values).fetchall()

    def has_file(self, sop_uid):
        """The recorded file of an instance; None when there is no record or no file."""
        for (path,) in self.rows("SELECT path FROM instance WHERE sop_uid = ?", sop_uid):
            full = self.data / path
            return full if full.exists() else None
        return None

    def log_text(self):
        return self.log.read_text(errors="replace")


class Sink(Process):
    """A destination: storescp that keeps what it gets and writes each arrival to its log."""

    def __init__(self, folder, port, title="PACS"):
        need("storescp")
        self.folder = pathlib.Path(folder)
        self.got = self.folder / "got"
        self.got.mkdir(parents=True, exist_ok=True)
        self.port = port
        super().__init__(["storescp", "-v", "-aet", title, "-od", self.got, "+uf", "--fork", port], self.folder / "storescp.log")
        self.wait_listening(port)

    def files(self):
        """Everything that came, one file an arrival."""
        return sorted(self.got.iterdir())

    def objects(self):
        return [pydicom.dcmread(str(path), force=True) for path in self.files()]

    def of(self, study_uid):
        return [d for d in self.objects() if d.StudyInstanceUID == study_uid]


def measurements(sr):
    """Numbers of an SR in document order: (concept, value, unit)."""
    found = []

    def walk(item):
        if getattr(item, "ValueType", "") == "NUM":
            value = item.MeasuredValueSequence[0]
            found.append((item.ConceptNameCodeSequence[0].CodeValue, str(value.NumericValue), value.MeasurementUnitsCodeSequence[0].CodeValue))
        for child in getattr(item, "ContentSequence", []):
            walk(child)

    walk(sr)
    return found


def texts(sr):
    """All text of an SR."""
    found = []

    def walk(item):
        found.append(getattr(item, "TextValue", ""))
        for child in getattr(item, "ContentSequence", []):
            walk(child)

    walk(sr)
    return "\n".join(found)


def send(files, port, calling="PACS", called="ANODE", program="dcmsend", check=True):
    """Sends files over one association. Returns the finished process."""
    base = [program, "-aet", calling, "-aec", called]
    base += ["--no-uid-checks"] if program == "dcmsend" else ["-v"]
    done = subprocess.run([*base, "127.0.0.1", str(port), *map(str, files)], capture_output=True, text=True, timeout=peers.HANG_S, env=dict(os.environ, TCP_NODELAY="1"))
    if check and done.returncode != 0:
        raise PeerError(f"{program} ended with {done.returncode}: {done.stdout[-1000:]}{done.stderr[-1000:]}")
    return done


def acknowledged(output, files):
    """Of files that storescu -v sent in this order, those it was told success for."""
    answered, current = [], None
    for line in output.splitlines():
        if "Sending file:" in line:
            current = line.split("Sending file:", 1)[1].strip()
        elif "Received Store Response (Success)" in line and current:
            answered.append(current)
            current = None
    known = {str(f): f for f in files}
    return [known[a] for a in answered]


def run_tests(name, tests):
    """Runs functions that take a scratch folder, those that the command line names or all; the end of each log of one that fails.
    Returns the exit status."""
    bad = 0
    for test in tests:
        if sys.argv[1:] and test.__name__ not in sys.argv[1:]:
            continue
        folder, start = pathlib.Path(tempfile.mkdtemp(prefix=f"anode-{name}-")), time.monotonic()
        try:
            test(folder)
            print(f"ok {test.__name__} {time.monotonic() - start:.1f} s", flush=True)
        except (AssertionError, PeerError, OSError, LookupError) as e:
            bad += 1
            print(f"FAILED {test.__name__}: {e}", flush=True)
            for log in sorted(folder.rglob("*.log")):
                print(f"--- {log}\n{log.read_text(errors='replace')[-6000:]}")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if bad else 0

#!/usr/bin/python3
"""Broken and hostile files: each is described or ignored with a reason, without a crash, and in
bounded time and memory.
"""
import json
import multiprocessing
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import unittest

from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import CTImageStorage, DeflatedExplicitVRLittleEndian, RLELossless

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1])]
import peers  # noqa: E402

MIB_MAX = 400    # resident; the largest file has 2 MiB, and none may grow without bound
SANITIZED = "asan" in str(peers.ANODE) or bool(os.environ.get("ASAN_OPTIONS"))
CPU_S_MAX = 10 if SANITIZED else 1  # of a file, on the processor: a busy machine does not matter


def inspect(files, out):
    """anode inspect: exit status, what it logs, seconds of the processor."""
    log = out.with_suffix(".log")
    with open(log, "w") as err:
        child = subprocess.Popen([peers.ANODE, "inspect", "-o", out, *files], stdout=subprocess.DEVNULL, stderr=err)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    return child.returncode, log.read_text(), used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def blank(_):
    return bytes(200 << 20)


def runs(side):
    """RLE of noughts, 128 in two bytes: the most that it can do."""
    line = b"\x81\0" * (side * side // 128 + 1)
    return encapsulate([struct.pack("<3I", 2, 64, 64 + len(line)) + bytes(52) + line + line])


def image(path, syntax, side, pixels):
    """A CT slice of side x side pixels, which are said to be those that pixels(side) makes."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID = CTImageStorage, "1.2.3.4", syntax
    d = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    d.is_little_endian, d.is_implicit_VR = True, False
    d.SOPClassUID, d.SOPInstanceUID, d.StudyInstanceUID, d.SeriesInstanceUID = CTImageStorage, "1.2.3.4", "1.2.3.1", "1.2.3.2"
    d.Modality, d.ImageType, d.SeriesNumber, d.InstanceNumber = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"], 1, 1
    d.ImagePositionPatient, d.ImageOrientationPatient, d.PixelSpacing = [0, 0, 0], [1, 0, 0, 0, 1, 0], [1, 1]
    d.Rows = d.Columns = side
    d.SamplesPerPixel, d.PhotometricInterpretation, d.PixelRepresentation = 1, "MONOCHROME2", 0
    d.BitsAllocated, d.BitsStored, d.HighBit = 16, 16, 15
    d.PixelData = pixels(side)
    d["PixelData"].is_undefined_length = syntax.is_encapsulated
    d.save_as(str(path), write_like_original=False)


class Hostile(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="anode-hostile-")
        self.addCleanup(scratch.cleanup)
        self.tmp = pathlib.Path(scratch.name)
        (self.tmp / "unpacked").mkdir()
        self.files = peers.hostile_files(self.tmp / "unpacked")
        if not self.files:
            peers.skip("the shared data are not here")

    def slow(self, files):
        """Those that take too long alone: what several take together, each of them takes at most."""
        status, log, seconds, _ = inspect(files, pathlib.Path(tempfile.mkdtemp(dir=self.tmp)) / "out")
        self.assertIn(status, (0, 1), f"{files}: {log[-2000:]}")
        if seconds <= CPU_S_MAX:
            return []
        half = len(files) // 2
        return [(path, seconds) for path in files] if half == 0 else self.slow(files[:half]) + self.slow(files[half:])

    def test_no_file_takes_long(self):
        self.assertEqual(self.slow(self.files), [])

    def test_each_file_is_described_or_has_a_reason(self):
        files, out = self.files, self.tmp / "out"
        status, log, _, peak = inspect(files, out)
        self.assertEqual(status, 0, log[-2000:])
        described = json.loads((out / "inspect.json").read_text())
        ignored = dict(re.findall(r'file=(\S+) ignored reason="([^"]+)"', log))
        for path, reason in ignored.items():
            self.assertGreater(len(reason), 8, f"{path}: {reason}")
        self.assertNotIn("no instance of a series", ignored.values())
        seen = sum(s["instances"] for s in described["series"])
        self.assertEqual(seen + len(ignored), len(files))
        for series in described["series"]:  # images, or why there are none
            self.assertTrue(series["images"] or series["trouble"] or series["set_aside"] or series["localizers"], series["series"])
        if not SANITIZED:
            self.assertLess(peak, MIB_MAX)

    def test_what_unpacks_without_bound_is_refused_with_its_size(self):
        if SANITIZED:
            self.skipTest("sanitizers take memory of their own")
        for name, syntax, side, pixels, reason in (
            ("deflated", DeflatedExplicitVRLittleEndian, 64, blank, r"data set of \d+ bytes inflates to more than 134217728"),
            ("frame", RLELossless, 8200, runs, "8200 x 8200 pixels, more than 67108864"),
        ):
            with self.subTest(name):
                path, out = self.tmp / f"{name}.dcm", self.tmp / f"out-{name}"
                # A process of its own: what this one has had counts for its children.
                maker = multiprocessing.Process(target=image, args=(path, syntax, side, pixels))
                maker.start()
                maker.join()
                self.assertLess(path.stat().st_size, 3 << 20)
                status, log, seconds, peak = inspect([path], out)
                said = log + ((out / "inspect.json").read_text() if status == 0 else "")
                self.assertRegex(said, reason)
                self.assertLess(peak, MIB_MAX)
                self.assertLess(seconds, 2 * CPU_S_MAX)


if __name__ == "__main__":
    sys.exit(unittest.main())

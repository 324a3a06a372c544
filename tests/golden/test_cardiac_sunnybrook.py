#!/usr/bin/python3
"""The cardiac stage on two patients with an expert's contours (Sunnybrook, Radau et al. 2009; skipped where they are absent)."""
import json
import os
import pathlib
import re
import sys
import tarfile
import tempfile
import unittest

import numpy as np
from PIL import Image, ImageDraw
from scipy.spatial import cKDTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import peers  # noqa: E402
import pydicom  # noqa: E402
from results import Result  # noqa: E402

SHARED = pathlib.Path(os.environ.get("ANODE_TEST_DATA", "../shared/data")) / "cardiac"
FINE = 4  # points a pixel of a mask
LAYERS = {"i": "ENDO", "o": "EPI"}


def polygon(points, size=256):
    image = Image.new("1", (size * FINE, size * FINE))
    ImageDraw.Draw(image).polygon([(x * FINE, y * FINE) for x, y in points], fill=1)
    return np.array(image)


def dense(points):
    parts = []
    for a, b in zip(points, np.roll(points, -1, 0)):
        parts.append(a + (b - a) * np.linspace(0, 1, max(2, int(np.hypot(*(b - a)) * 8)), endpoint=False)[:, None])
    return np.vstack(parts)


class Patients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not SHARED.is_dir():
            raise unittest.SkipTest(f"no {SHARED}")
        scratch = tempfile.TemporaryDirectory(prefix="anode-sunnybrook-")
        cls.addClassCleanup(scratch.cleanup)
        cls.folder = pathlib.Path(scratch.name)
        cls.reference = json.loads((SHARED / "reference_values.json").read_text())

    def own_contours(self, result):
        """By Instance Number of the image and layer, in pixels from the corner of the image."""
        numbers = {}
        for path in result.files:
            ds = pydicom.dcmread(path, stop_before_pixels=True)
            numbers[ds.SOPInstanceUID] = int(ds.InstanceNumber)
        return {(numbers[a.ReferencedImageSequence[0].ReferencedSOPInstanceUID], a.GraphicLayer): np.array(g.GraphicData, float).reshape(-1, 2)
                for a in result.objects["PR"][1].GraphicAnnotationSequence for g in a.get("GraphicObjectSequence", [])}

    def expert_contours(self, root, known):
        """The same. Their coordinates count pixel centres from 1, as their edges in the images show."""
        found = {}
        for kind, layer in LAYERS.items():
            for path in (root / "contourfiles" / known["original_id"] / f"{kind}-contours").glob("*.txt"):
                found[int(re.search(r"IM-0001-(\d+)", path.name).group(1)), layer] = np.loadtxt(path) - 0.5
        return found

    def patient(self, name):
        known = self.reference[name]
        with tarfile.open(SHARED / f"{name}.tar.xz") as tar:
            tar.extractall(self.folder / name)
        config = self.folder / f"{name}.yaml"
        config.write_text(f"node: {{data_dir: {self.folder}}}\npeers: [{{ae_title: A, host: 127.0.0.1, port: 104}}]\n"
                          "routes: [{name: r, when: {Modality: MR}, run: cardiac, results: [sr, gsps], options: {contours: all}}]\n")
        result = Result(peers.dicom_files(self.folder / name / "dicoms"), self.folder / f"out-{name}", "cardiac", config)
        self.assertEqual(result.entry["verdict"], "done", result.entry["reason"])
        own, expert = self.own_contours(result), self.expert_contours(self.folder / name, known)
        mm = known["pixel_spacing_mm"][0]
        for layer, least in (("ENDO", 0.86), ("EPI", 0.90)):
            both = [key for key in expert if key[1] == layer and key in own]
            wanted = [key for key in expert if key[1] == layer]
            overlaps, distances = [], []
            for key in both:
                a, b = polygon(own[key]), polygon(expert[key])
                overlaps.append(2 * (a & b).sum() / (a.sum() + b.sum()))
                distances.append(cKDTree(dense(expert[key])).query(dense(own[key]))[0].mean() * mm)
            good = sum(d < 5 for d in distances) / len(wanted)
            print(f"{name} {layer}: Dice {np.mean(overlaps):.3f}, distance {np.mean(distances):.2f} mm, good {100 * good:.0f} % of {len(wanted)}")
            self.assertGreaterEqual(np.mean(overlaps), least)
            self.assertLessEqual(np.mean(distances), 2.5)
            self.assertGreaterEqual(good, 0.9)
        value = {m["code"][0]: m["value"] for m in result.entry["measurements"]}
        edv, esv, ef = value["8821-1"] / known["EDV_ml"] - 1, value["8823-7"] / known["ESV_ml"] - 1, value["8811-2"] - known["EF_pct"]
        print(f"{name}: EDV {100 * edv:+.1f} %, ESV {100 * esv:+.1f} %, EF {ef:+.1f} points, mass {value['18087-7']:.0f} g of {known['LV_mass_ED_g']:.0f} g")
        self.assertLess(abs(edv), 0.12)
        self.assertLess(abs(esv), 0.15)
        self.assertLess(abs(ef), 6)

    def test_the_first(self):
        self.patient("SCD0000101")

    def test_the_second(self):
        self.patient("SCD0000401")


if __name__ == "__main__":
    unittest.main()

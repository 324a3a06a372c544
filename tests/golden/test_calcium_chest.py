#!/usr/bin/python3
"""Lesions put into a real chest CT (5 mm slices, not gated), where the arteries are seen: each counts
and gets its artery or none, what lies in walls, valves and the left atrial appendage does not count,
and the scores are those of numpy. The places were read off the images. Skipped where the data are absent."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import numpy as np
import pydicom
from scipy import ndimage

ANODE = os.environ.get("ANODE", "build/anode")
SOURCE = pathlib.Path(os.environ.get("ANODE_TEST_DATA", "../shared/data")) / "ct" / "chest_A0001"

# artery, slice from the feet up, column, row
LESIONS = [("LM", 30, 301, 247), ("LAD", 31, 309, 251), ("LAD", 29, 323, 237), ("LAD", 27, 328, 210),
           ("LAD", 25, 329, 200), ("LCX", 28, 320, 276), ("LCX", 25, 325, 279), ("LCX", 23, 322, 284),
           ("RCA", 29, 259, 213), ("RCA", 27, 258, 222), ("RCA", 25, 258, 216), ("RCA", 23, 247, 200),
           ("RCA", 20, 243, 207)]
APPENDAGE = ("left atrial appendage", 31, 316, 263)  # in fat
OTHERS = [("wall of the root", 32, 251, 243), ("wall of the descending aorta", 27, 290, 341),
          ("the same, towards the heart", 25, 275, 327), ("aortic valve", 27, 278, 246), APPENDAGE]
RADIUS, HU = 2.2, 450  # pixels


def slices():
    found = [pydicom.dcmread(p) for p in sorted(SOURCE.glob("*.dcm"))]
    return sorted(found, key=lambda ds: float(ds.ImagePositionPatient[2]))


def paint(sources, places):
    """Returns for each place the mask that it got, by slice."""
    masks = []
    for _, k, x, y in places:
        ds = sources[k]
        pixels = ds.pixel_array.copy()
        rows, columns = np.mgrid[: ds.Rows, : ds.Columns]
        mask = np.hypot(rows - y, columns - x) <= RADIUS
        pixels[mask] = round((HU - float(ds.RescaleIntercept)) / float(ds.RescaleSlope))
        ds.PixelData = pixels.tobytes()
        masks.append((k, mask))
    return masks


def score(ds, mask, increment):
    """Agatston, volume, mass of one slice within a mask, by the published rules."""
    hu = ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept)
    area = float(ds.PixelSpacing[0]) * float(ds.PixelSpacing[1])
    labels, count = ndimage.label((hu >= 130) & ndimage.binary_dilation(mask, iterations=3), np.ones((3, 3)))
    total = np.zeros(3)
    for n in range(1, count + 1):
        island = hu[labels == n]
        if island.size * area < 1:
            continue
        weight = 1 + sum(island.max() >= step for step in (200, 300, 400))
        volume = island.size * area * increment
        total += (island.size * area * weight * increment / 3, volume, volume * island.mean() / 1.3 / 1000)
    return total


def analyse(sources, folder):
    folder.mkdir()
    for ds in sources:
        ds.save_as(folder / f"{ds.SOPInstanceUID}.dcm")
    out = folder.parent / (folder.name + "-out")
    out.mkdir()
    subprocess.run([ANODE, "analyze", "-s", "calcium", "-o", out, folder], check=True, timeout=1200,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return json.loads((out / "report.json").read_text())["results"][0]


class Chest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def numbers(self, entry, group):
        return [m["value"] for m in entry["measurements"] if m["group"] == group]

    def test_every_lesion_counts_and_gets_its_artery_or_none(self):
        sources = slices()
        increment = float(sources[1].ImagePositionPatient[2]) - float(sources[0].ImagePositionPatient[2])
        masks = paint(sources, LESIONS)
        by_artery = {name: np.zeros(3) for name in ("LM", "LAD", "LCX", "RCA")}
        for (artery, *_), (k, mask) in zip(LESIONS, masks):
            by_artery[artery] += score(sources[k], mask, increment)
        entry = analyse(sources, self.folder / "lesions")
        self.assertEqual(entry["verdict"], "done")
        total, right = self.numbers(entry, "Coronary arteries"), sum(by_artery.values())
        for value, expected in zip(total, right):
            self.assertLessEqual(abs(value - expected), 0.01 * expected + 0.06, (total, right))
        self.assertEqual(total[3], len(LESIONS))
        assigned = 0
        for artery, values in by_artery.items():
            found = self.numbers(entry, artery)
            for value, most in zip(found, values):
                self.assertLessEqual(value, 1.01 * most + 0.06, (artery, found, values))
            assigned += found[3]
        self.assertGreaterEqual(assigned, 9, "the left main artery and its fork are left open, no more")

    def test_walls_and_valves_do_not_count(self):
        sources = slices()
        paint(sources, OTHERS)
        entry = analyse(sources, self.folder / "others")
        self.assertEqual(self.numbers(entry, "Coronary arteries")[0], 0)
        self.assertNotEqual(entry["verdict"], "nothing found", "a valve at the root may be an artery")
        self.assertIn("uncertain lesion, 450 HU", str([e["what"] for e in entry["exclusions"]]))
        self.assertEqual(sum("appendage" in e["reason"] for e in entry["exclusions"]), 1, entry["exclusions"])

    def test_the_dome_of_the_liver_is_not_taken_for_a_parted_heart(self):
        sources = slices()
        rows, columns = np.mgrid[: sources[0].Rows, : sources[0].Columns]
        spacing, (x, y), angle = float(sources[0].PixelSpacing[0]), (287, 240), np.deg2rad(45)
        sheet = np.abs((columns - x) * np.cos(angle) + (rows - y) * np.sin(angle)) * spacing < 2.5
        for ds in sources[8:26]:
            pixels = ds.pixel_array.copy()
            hu = pixels * float(ds.RescaleSlope) + float(ds.RescaleIntercept)
            parted = sheet & (np.hypot(rows - y, columns - x) * spacing < 38) & (hu > -20)
            pixels[parted] = round((-100 - float(ds.RescaleIntercept)) / float(ds.RescaleSlope))
            ds.PixelData = pixels.tobytes()
        paint(sources, LESIONS)
        entry = analyse(sources, self.folder / "parted")
        self.assertEqual(entry["verdict"], "not evaluable")
        self.assertIn("may be the liver", entry["reason"])


if __name__ == "__main__":
    if not SOURCE.is_dir():
        print(f"skipped: {SOURCE} is absent")
        sys.exit(77)
    unittest.main()

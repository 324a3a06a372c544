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
from phantom import cardiac  # noqa: E402
from results import Result  # noqa: E402

SHARED = pathlib.Path(os.environ.get("ANODE_TEST_DATA", "../shared/data")) / "cardiac"
FINE = 4  # points a pixel of a mask
PAINTED, PHASES = 128, 12  # pixels and phases of what is painted by the contours
DIRECTIONS = np.arange(180) * 2 * np.pi / 180
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


def radii(points, centre):
    """Of a contour that is seen whole from a centre, by direction."""
    x, y = (points - centre).T
    order = np.argsort(np.arctan2(y, x))
    return np.interp(DIRECTIONS, np.arctan2(y, x)[order], np.hypot(x, y)[order], period=2 * np.pi)


def disc(r, centre):
    """The part of each pixel that lies within radii, on the cropped grid."""
    ring = np.stack([centre[0] + r * np.cos(DIRECTIONS), centre[1] + r * np.sin(DIRECTIONS)], 1)
    return polygon(ring, PAINTED).reshape(PAINTED, FINE, PAINTED, FINE).mean((1, 3))


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

    def masks_give_the_volumes(self, expert, result, known):
        """The expert's contours as masks on the grid of the segmentation. Phases are those of Instance Numbers: slices one after the other."""
        measures = result.objects["SEG"][1].SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
        voxel_ml = np.prod([float(x) for x in measures.PixelSpacing]) * float(measures.SpacingBetweenSlices) / 1000
        volumes = {"ED": 0, "ES": 0}
        for (number, layer), points in expert.items():
            if layer == "ENDO":
                early = (number - 1) % known["phases"] < (known["ED_phase_index0"] + known["ES_phase_index0"]) / 2
                volumes["ES" if early else "ED"] += polygon(points).sum() / FINE**2 * voxel_ml
        print(f"masks: {volumes} mL of {known['EDV_ml']} and {known['ESV_ml']}")
        self.assertLess(abs(volumes["ED"] / known["EDV_ml"] - 1), 0.02)
        self.assertLess(abs(volumes["ES"] / known["ESV_ml"] - 1), 0.02)

    def patient(self, name):
        known = self.reference[name]
        with tarfile.open(SHARED / f"{name}.tar.xz") as tar:
            tar.extractall(self.folder / name)
        config = self.folder / f"{name}.yaml"
        config.write_text(f"node: {{data_dir: {self.folder}}}\npeers: [{{ae_title: A, host: 127.0.0.1, port: 104}}]\n"
                          "routes: [{name: r, when: {Modality: MR}, run: cardiac, results: [sr, gsps, seg], options: {contours: all}}]\n")
        result = Result(peers.dicom_files(self.folder / name / "dicoms"), self.folder / f"out-{name}", "cardiac", config)
        self.assertEqual(result.entry["verdict"], "done", result.entry["reason"])
        own, expert = self.own_contours(result), self.expert_contours(self.folder / name, known)
        mm = known["pixel_spacing_mm"][0]
        self.masks_give_the_volumes(expert, result, known)
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

    def painted(self, name, around=400.0):
        """The expert's contours as images: pool (600) and muscle (200) in even grey, moving from one phase to the other and back. What
        they enclose is the reference; the outer contour of end systole, which nobody drew, leaves as much muscle."""
        known = self.reference[name]
        folder = self.folder / f"painted-{name}-{around:.0f}"
        with tarfile.open(SHARED / f"{name}.tar.xz") as tar:
            tar.extractall(folder)
        heads = {int(ds.InstanceNumber): ds for ds in (pydicom.dcmread(p, stop_before_pixels=True) for p in peers.dicom_files(folder / "dicoms"))}
        depth = {n: round(float(np.dot(cardiac.DOWN, np.array(ds.ImagePositionPatient, float)))) for n, ds in heads.items()}
        places = sorted(set(depth.values()))
        series = {d: sorted((float(ds.TriggerTime), n) for n, ds in heads.items() if depth[n] == d) for d in places}
        phase = {n: p for those in series.values() for p, (_, n) in enumerate(those)}
        contours = {}
        for (number, layer), points in self.expert_contours(folder, known).items():
            time = "ED" if abs(phase[number] - known["ED_phase_index0"]) <= 1 else "ES"
            contours[places.index(depth[number]), layer, time] = points
        middle = np.mean([p.mean(0) for p in contours.values()], 0)
        corner = np.rint(middle) - PAINTED // 2
        gap, mm = known["slice_spacing_from_IPP_mm"], known["pixel_spacing_mm"][0]
        o = cardiac.arguments([str(folder / "made"), "--phases", str(PHASES), "--gap", str(gap), "--pixel", str(mm), "--slices", str(len(places))])
        o.out.mkdir()
        rng = np.random.default_rng(1)
        for k in range(len(places)):
            there = (k, "ENDO", "ED") in contours
            if there:
                centre = contours[k, "ENDO", "ED"].mean(0)
                pool, last = (radii(contours[k, "ENDO", time], centre) for time in ("ED", "ES"))
                wall = np.maximum(radii(contours[k, "EPI", "ED"], centre), pool + 1)**2 - pool**2
            for p in range(PHASES):
                image = np.full((PAINTED, PAINTED), around)
                if there:
                    inner = pool + (last - pool) * (1 - np.cos(2 * np.pi * p / PHASES)) / 2
                    outside, inside = disc(np.sqrt(inner**2 + wall), centre - corner), disc(inner, centre - corner)
                    image += (200 - around) * outside + 400 * inside
                number = k * PHASES + p + 1
                cardiac.write_image(o.out, f"im-{number:05d}.dcm", o, image + rng.normal(0, 5, image.shape), k, p, number, cardiac.DOWN * k * gap,
                                    (p / PHASES * 800 + 10, 800), 1)
        result = Result(peers.dicom_files(o.out), self.folder / f"out-painted-{name}-{around:.0f}", "cardiac")
        self.assertEqual(result.entry["verdict"], "done", result.entry["reason"])
        value = {m["code"][0]: m["value"] for m in result.entry["measurements"]}
        print(f"{name} painted in {around:.0f}: EDV {value['8821-1']:.1f} of {known['EDV_ml']}, ESV {value['8823-7']:.1f} of {known['ESV_ml']} mL, "
              f"EF {value['8811-2']:.1f} of {known['EF_pct']} %, mass {value['18087-7']:.0f} of {known['LV_mass_ED_g']} g")
        self.assertLess(abs(value["8821-1"] / known["EDV_ml"] - 1), 0.035)
        self.assertLess(abs(value["8823-7"] / known["ESV_ml"] - 1), 0.035)
        self.assertLess(abs(value["8811-2"] - known["EF_pct"]), 2)
        self.assertLess(abs(value["18087-7"] / known["LV_mass_ED_g"] - 1), 0.12)

    def test_the_contours_of_the_first_give_its_volumes(self):
        self.painted("SCD0000101")

    def test_the_contours_of_the_second_give_its_volumes(self):
        self.painted("SCD0000401")

    def test_a_thin_wall_with_lung_all_round_gives_its_volumes(self):
        self.painted("SCD0000101", around=60.0)

    def test_the_first(self):
        self.patient("SCD0000101")

    def test_the_second(self):
        self.patient("SCD0000401")


if __name__ == "__main__":
    unittest.main()

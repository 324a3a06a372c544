#!/usr/bin/python3
"""The cardiac stage on phantoms: volumes against the truth, objects against each other, other shapes of input, refusals.
Sanitized: Heart.test_volumes_are_those_of_the_phantom
"""
import pathlib
import shutil
import sys
import tempfile
import unittest

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import peers  # noqa: E402
from phantom import cardiac  # noqa: E402
from results import Result  # noqa: E402

SMALL = ("--seed", "7", "--size", "112", "--pixel", "1.8", "--slices", "9", "--phases", "12", "--ef", "58", "--edv", "150", "--mass", "110")
EDV, ESV, EF, MASS = "8821-1", "8823-7", "8811-2", "18087-7"


def number(result, code):
    return next(m for m in result.entry["measurements"] if m["code"][0] == code)


class Case(unittest.TestCase):
    small = []

    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory(prefix="anode-cardiac-")
        cls.addClassCleanup(scratch.cleanup)
        cls.folder = pathlib.Path(scratch.name)

    @classmethod
    def plain(cls):
        """The small phantom, analysed once."""
        if not Case.small:
            folder = tempfile.TemporaryDirectory(prefix="anode-cardiac-")
            unittest.addModuleCleanup(folder.cleanup)
            Case.small.extend(cls.analyse_in(pathlib.Path(folder.name), "plain", *SMALL))
        return Case.small

    @classmethod
    def analyse(cls, name, *words):
        return cls.analyse_in(cls.folder, name, *words)

    @staticmethod
    def analyse_in(folder, name, *words):
        truth = cardiac.make(cardiac.arguments([str(folder / name), *words]))
        return Result(peers.dicom_files(folder / name), folder / f"out-{name}", "cardiac"), truth


class Heart(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.result, cls.truth = cls.plain()

    def test_the_objects_are_valid(self):
        self.assertEqual(self.result.errors(), [])

    def test_volumes_are_those_of_the_phantom(self):
        self.assertEqual(self.result.entry["verdict"], "done", self.result.entry["reason"])
        edv, esv, ef, mass = (number(self.result, c)["value"] for c in (EDV, ESV, EF, MASS))
        t = self.truth
        print(f"EDV {edv} of {t['edv_ml']:.1f}, ESV {esv} of {t['esv_ml']:.1f} mL, EF {ef} of {t['ef']:.1f} %, mass {mass} of {t['mass_g']:.0f} g")
        self.assertLess(abs(edv / t["edv_ml"] - 1), 0.05)
        self.assertLess(abs(esv - t["esv_ml"]), 6)
        self.assertLess(abs(ef - t["ef"]), 3)
        self.assertLess(abs(mass / t["mass_g"] - 1), 0.15)

    def test_the_report_says_the_same(self):
        group = self.result.report.groups[0]
        self.assertEqual(group.finding[0], "87878005")
        self.assertAlmostEqual(group.number("8867-4"), self.truth["rate"], delta=1)
        self.assertAlmostEqual(group.number("8821-1") - group.number("8823-7"), group.number("90096001"), delta=0.2)
        self.assertAlmostEqual(group.number("8821-1") / 2.0, group.number("EDV-INDEX"), delta=0.2)  # 80 kg, 1.8 m: 2 m2

    def test_the_steepest_parts_of_the_curve(self):
        """As differences over two phases of the volume that the phantom has, which the valve makes no steps in."""
        exact, step_s = self.truth["exact_ml"], 60 / self.truth["rate"] / self.truth["phases"]
        slopes = [(exact[(p + 1) % len(exact)] - exact[p - 1]) / (2 * step_s) for p in range(len(exact))]
        for code, true in (("122616", -min(slopes)), ("122618", max(slopes))):
            found = number(self.result, code)
            print(f"{code}: {found['value']} ({found['low']:.0f} to {found['high']:.0f}) of {true:.0f} mL/s")
            self.assertLess(found["low"], true)
            self.assertGreater(found["high"], true)
            self.assertLess(abs(found["value"] / true - 1), 0.2)

    def test_contours_enclose_the_volume(self):
        """The areas of the inner contours on the images of end diastole, times the distance of slices."""
        areas = {}
        for annotation in self.result.objects["PR"][1].GraphicAnnotationSequence:
            if annotation.GraphicLayer != "ENDO":
                continue
            uid = annotation.ReferencedImageSequence[0].ReferencedSOPInstanceUID
            for graphic in annotation.GraphicObjectSequence:
                x, y = np.array(graphic.GraphicData, float).reshape(-1, 2).T
                area = abs(np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1])) / 2 * 1.8**2
                areas[int(uid.split(".")[-1])] = area
        phases = {}
        for n, area in areas.items():
            phases.setdefault((n - 1) % 12, []).append(area)
        self.assertEqual(len(phases), 2)
        volumes = sorted(sum(a) * 10 / 1000 for a in phases.values())
        for volume, code in ((volumes[1], EDV), (volumes[0], ESV)):  # and half of what may lie past the last slice of the apex
            self.assertGreater(number(self.result, code)["value"], volume - 0.5)
            self.assertLess(number(self.result, code)["value"], volume + 1.5)

    def test_the_segmentation_has_the_volume(self):
        """Of pixels, at end diastole or end systole."""
        first = self.result.objects["SEG"][1]
        frames = [f.SegmentIdentificationSequence[0].ReferencedSegmentNumber for f in first.PerFrameFunctionalGroupsSequence]
        pool = first.pixel_array[np.array(frames) == 1].sum() * 1.8**2 * 10 / 1000
        self.assertLess(min(abs(pool / number(self.result, c)["value"] - 1) for c in (EDV, ESV)), 0.03)

    def test_slices_outside_are_named(self):
        said = [(e["what"], e["reason"]) for e in self.result.entry["exclusions"]]
        self.assertTrue(any("beyond the base" in what for what, _ in said), said)


class Ends(Case):
    """Where the valve lies within a slice, numbers are ranges that hold what the slices below it have."""

    def test_a_dilated_ventricle(self):
        self.holds("dilated", "--seed", "111", "--kind", "dilated", "--slices", "12")

    def test_an_effusion(self):
        self.holds("effusion", "--seed", "311", "--kind", "effusion", "--slices", "9")

    def test_a_pool_of_a_single_phase_is_not_that_of_end_diastole(self):
        """While the valve crosses a slice, the outer contour is taken for the inner one."""
        words = ("--seed", "1610744380", "--kind", "hypertrophic", "--gap", "12", "--thick", "12", "--slices", "9", "--pixel", "1.8", "--size", "104",
                 "--phases", "12", "--noise", "9", "--shading", "0.335", "--shift", "1.786", "--cover", "0.85")
        result, truth = self.analyse("crossed", *words)
        print(f"EDV {number(result, EDV)['value']:.1f} of {truth['edv_ml']:.1f} mL")
        self.assertLess(abs(number(result, EDV)["value"] / truth["edv_ml"] - 1), 0.03)

    def holds(self, name, *words):
        result, truth = self.analyse(name, *words, "--size", "96", "--pixel", "2", "--phases", "10")
        for code, true, tolerance in ((EDV, truth["edv_ml"], 0.03 * truth["edv_ml"]), (ESV, truth["esv_ml"], 0.03 * truth["esv_ml"]), (EF, truth["ef"], 1.5)):
            found = number(result, code)
            low, high = found.get("low", found["value"]), found.get("high", found["value"])
            print(f"{name} {code}: {found['value']} ({low} to {high}) of {true:.1f}")
            self.assertLess(low, true + tolerance)
            self.assertGreater(high, true - tolerance)
        self.assertIn("base", number(result, EF)["range_reason"])


class Shapes(Case):
    """The same heart sent in another way gives the same numbers."""

    def test_a_mirror_image_that_is_cropped_changes_little(self):
        """What is found in whole pixels, the centre, differs by less than one; phantoms round positions to 0.1 um."""
        plain, _ = self.plain()
        other, _ = self.analyse("mirror", *SMALL, "--mirrored", "--crop", "8")
        self.assertLess(abs(number(plain, EF)["value"] - number(other, EF)["value"]), 0.3)
        for code in (EDV, ESV, MASS):
            self.assertLess(abs(number(plain, code)["value"] / number(other, code)["value"] - 1), 0.005, code)


class Refusals(Case):
    def refused(self, name, *words):
        result, _ = self.analyse(name, *words)
        self.assertEqual(result.entry["verdict"], "not evaluable")
        return result.entry["reason"]

    def test_a_heart_that_stands_still(self):
        self.assertIn("moves", self.refused("still", *SMALL, "--still", "--noise", "3"))

    def test_few_phases(self):
        self.assertEqual(self.refused("few", *SMALL[:-8], "--phases", "6"), "no cine: no images of 10 phases or more")

    def test_a_missing_slice(self):
        cardiac.make(cardiac.arguments([str(self.folder / "gap"), *SMALL]))
        for p in range(12):
            (self.folder / "gap" / f"im-{4 * 12 + p + 1:05d}.dcm").unlink()
        result = Result(peers.dicom_files(self.folder / "gap"), self.folder / "out-gap", "cardiac")
        self.assertEqual(result.entry["verdict"], "not evaluable")
        self.assertIn("missing", result.entry["reason"])
        shutil.rmtree(self.folder / "gap")


if __name__ == "__main__":
    unittest.main()

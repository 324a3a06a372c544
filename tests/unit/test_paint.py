#!/usr/bin/python3
"""The painter: what it adds has the score it says, and a series shown in another way holds the same voxels."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

import numpy as np
import pydicom

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "phantom"))
import chest  # noqa: E402
import paint  # noqa: E402

COURSE = {"coronary": {"LAD": [[10, -20, -20], [14, -30, 0], [20, -34, 20]], "RCA": [[-20, -10, -20], [-24, -8, 0], [-22, -6, 20]]},
          "not": {"aorta": [[0, 10, 4]]}}


class Painter(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="anode-paint-")
        cls.out = pathlib.Path(cls.scratch.name)
        p = {**chest.draw(5), "position": "HFS", "tilt": 0.0, "increment": 3.0, "thickness": 3.0, "fov": 220.0, "others": [], "plaques": 0, "padded": False, "gated": True,
             "missing": False, "motion_mm": 0.0, "kernel": "soft", "noise": 12.0, "cut": False}
        (cls.out / "in").mkdir()
        chest.make(cls.out / "in", 5, p, 96)
        cls.series = paint.Series(sorted((cls.out / "in").glob("im-*.dcm")))

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def test_what_is_added_is_the_volume_drawn(self):
        item = {"hu": 1000.0, "balls": np.array([(10.0, -30.0, 0.0, 4.0)])}
        total = 0
        for k in range(len(self.series.slices)):
            part, hu = paint.added(self.series, k, item, 0.7)
            if part is not None:
                at = paint.blurred(np.maximum(self.series.values[k][part], -150), 1.5)
                total += hu.sum() / (1000 - at.mean())
        volume = total * np.prod(self.series.spacing) * self.series.increment
        self.assertAlmostEqual(volume, 4 / 3 * np.pi * 4**3, delta=40)

    def test_truth_is_what_the_painted_series_gained(self):
        seed = 1
        truth = paint.paint(self.series, self.out / f"painted{seed}", COURSE, seed)
        self.assertGreater(truth["total"]["TOTAL"]["agatston"], 1)
        self.assertEqual([o["kind"] for o in truth["others"]], ["aorta"])
        self.assertGreater(truth["others"][0]["agatston"], 5)
        after = paint.Series(sorted((self.out / f"painted{seed}").glob("im-*.dcm")))
        changed = [np.count_nonzero(a != b) for a, b in zip(after.values, self.series.values)]
        self.assertTrue(any(changed) and not all(changed))
        self.assertNotEqual(after.slices[0].SeriesInstanceUID, self.series.slices[0].SeriesInstanceUID)

    def test_each_piece_of_a_course_gets_a_plaque_of_its_own(self):
        rng = np.random.default_rng(3)
        one, two = [[0, 0, 0], [0, 0, 20], [0, 0, 2.5 * paint.PIECE_MM]], [[9, 0, 0], [9, 0, 1.5 * paint.PIECE_MM]]
        drawn = [*paint.plaques(rng, one)], [*paint.plaques(rng, [one, two])]
        self.assertEqual([len(d) for d in drawn], [2, 3])
        self.assertTrue(all(200 <= p["hu"] <= 1200 and 0.9 <= p["balls"][0, 3] <= 2.25 for p in drawn[0] + drawn[1]))
        ends = [p["balls"][[0, -1], 2] for p in drawn[0]]
        self.assertTrue(all(a[1] < b[0] for a, b in zip(ends, ends[1:])))

    def test_compressed_slices_are_painted_as_others(self):
        plain = sorted((self.out / "in").glob("im-*.dcm"))[18:24]
        for encoder in ("dcmcjpeg", "dcmcjpls", "dcmcrle"):
            packed = [self.out / f"{encoder}-{f.name}" for f in plain]
            for a, b in zip(plain, packed):
                subprocess.run([encoder, a, b], check=True)
            self.assertTrue(pydicom.dcmread(packed[0]).file_meta.TransferSyntaxUID.is_compressed)
            one, two = paint.Series(plain), paint.Series(packed)
            self.assertTrue(all(np.array_equal(a, b) for a, b in zip(one.values, two.values)), encoder)
            paint.write(two, self.out / encoder)
            again = paint.Series(sorted((self.out / encoder).glob("im-*.dcm")))
            self.assertTrue(all(np.array_equal(a, b) for a, b in zip(one.values, again.values)), encoder)

    def test_says_why_files_cannot_be_painted(self):
        plain = sorted((self.out / "in").glob("im-*.dcm"))[:3]
        def changed(name, change):
            made = [self.out / f"{name}-{f.name}" for f in plain]
            for k, (a, b) in enumerate(zip(plain, made)):
                ds = pydicom.dcmread(a)
                change(ds, k)
                ds.save_as(b)
            return made
        def unpacked(ds, _):
            ds.file_meta.TransferSyntaxUID = pydicom.uid.JPEG2000Lossless
            ds.PixelData = pydicom.encaps.encapsulate([b"no pixels"])
        def placeless(ds, _):
            del ds.ImagePositionPatient
        def piled(ds, _):
            ds.ImagePositionPatient = [0, 0, 0]
        def mixed(ds, k):
            ds.PixelSpacing = [1 + k, 1]
        for why, change in (("no decoder for JPEG 2000", unpacked), ("0 of 3 files are slices with a place", placeless),
                            ("3 slices lie 0.0 mm apart", piled), ("PixelSpacing differs: .1.0, 1.0., .2.0, 1.0.", mixed)):
            with self.assertRaisesRegex(paint.Unfit, why):
                paint.Series(changed(change.__name__, change))

    def test_noise_has_the_deviation_it_says(self):
        values = paint.noisy(self.series, 4)
        self.assertAlmostEqual(np.std([a - b for a, b in zip(values, self.series.values)]), paint.NOISE_HU, delta=0.05)

    def test_other_views_hold_the_same_voxels_at_the_same_places(self):
        place = np.array([12.0, -28.0, self.series.slices[20].ImagePositionPatient[2]])
        def value(series):
            k = min(range(len(series.slices)), key=lambda k: abs(series.index(k, place)[2]))
            i, j, off = series.index(k, place)
            self.assertLess(abs(off), 0.01)
            return series.values[k][round(i), round(j)]
        seen = {}
        for name, folder in paint.shown(self.series, self.out / "views", place):
            seen[name] = paint.Series(sorted(folder.glob("im-*.dcm")))
            self.assertEqual(value(seen[name]), value(self.series), name)
        self.assertEqual(len(seen), 8)
        numbers = [int(ds.InstanceNumber) for ds in seen["reversed order"].slices]
        self.assertEqual(numbers, sorted(numbers, reverse=True))
        self.assertEqual(seen["half the spacing"].slices[0].Rows, 192)
        self.assertEqual(pydicom.dcmread(sorted((self.out / "views" / "prone").glob("*.dcm"))[0]).PatientPosition, "HFP")


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/python3
"""The generator of chests: its arithmetic, its places, and that its truth says what its images show."""
import json
import pathlib
import sys
import tempfile
import unittest

import numpy as np
import pydicom

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "phantom"))
import chest  # noqa: E402
import heart  # noqa: E402

PLAIN = dict(position="HFS", tilt=0.0, kernel="soft", noise=10.0, motion_mm=0.0, others=[], cut=False, missing=False, derived="", contrast=False, kvp=120.0,
             padded=False, reversed=False, gated=True, fov=220.0, increment=8.0, thickness=3.0, effusion=0.0, consolidation=0)


def made(seed, **values):
    """(truth, slices by rising height) of a small chest."""
    with tempfile.TemporaryDirectory(prefix="anode-chest-") as out:
        out = pathlib.Path(out)
        truth = chest.make(out, seed, {**chest.draw(seed), **PLAIN, **values}, 96)
        slices = [pydicom.dcmread(f) for f in out.glob("im-*.dcm")]
        for ds in slices:
            ds.pixel_array  # before the file goes
    return json.loads(json.dumps(truth)), sorted(slices, key=lambda ds: float(ds.ImagePositionPatient[2]))


class Arithmetic(unittest.TestCase):
    def test_islands_touch_at_corners(self):
        mask = np.array([[1, 0, 0, 0], [0, 1, 0, 1], [0, 0, 0, 1]], bool)
        self.assertEqual(sorted(len(rows) for rows, _ in chest.islands(mask)), [2, 2])

    def test_scores_by_the_published_rule(self):
        image = np.full((8, 8), 50.0)
        image[1:3, 1:3], image[5, 5], image[5, 1:4] = 250, 420, 140
        zone = (np.ones((8, 8), bool), np.ones((8, 8)))
        score = chest.Score(0.7, 1.5)
        score.add(image, {0: zone})
        # 420 HU on one pixel is less than 1 mm2
        self.assertAlmostEqual(score.of([0])["agatston"], round((4 * 2 + 3 * 1) * 0.49 * 0.5, 2))
        self.assertAlmostEqual(score.of([0])["volume_mm3"], round(7 * 0.49 * 1.5, 2), places=2)
        self.assertEqual(score.of([1])["agatston"], 0)

    def test_places_go_there_and_back(self):
        p = {**chest.draw(4), "rotation": 12.0, "scoliosis_mm": 15.0, "kyphosis_mm": 20.0, "scale": 1.1}
        for at in ((0, 0, 0), (40, -20, 60), (-33, 10, -70)):
            np.testing.assert_allclose(chest.place(p, chest.place_back(p, at)), at, atol=1e-9)


class Hearts(unittest.TestCase):
    def test_arteries_run_outside_the_muscle_and_begin_at_the_root(self):
        for seed in range(1, 9):
            one = heart.Heart(np.random.default_rng(seed), chest.draw(seed))
            for name, (artery, line) in one.lines.items():
                self.assertIn(artery, heart.ARTERIES)
                inside = [one.depth([np.array([[v]], np.float32) for v in at[:3]], 1.0)[0][0, 0] for at in line[::10]]
                if name not in ("LM", "RCA"):  # they pass between root and atria
                    self.assertGreater(min(inside), -2.5, f"seed {seed}: {name}")
            for name in ("LM", "RCA"):
                start = one.lines[name][1][0, :3] - one.root
                away = np.linalg.norm(start - (start @ one.root_axis) * one.root_axis)
                self.assertLess(abs(away - one.root_radius), 1.5, f"seed {seed}: {name}")

    def test_no_two_hearts_are_alike(self):
        one, two = (heart.Heart(np.random.default_rng(seed), chest.draw(seed)) for seed in (1, 2))
        self.assertGreater(np.abs(one.muscle - two.muscle).max(), 2)


class Series(unittest.TestCase):
    def test_calcium_is_where_the_truth_says(self):
        truth, slices = made(21, plaques=9, increment=3.0)
        self.assertGreater(truth["total"]["TOTAL"]["agatston"], 20)
        self.assertEqual(truth["reasons"], [])
        total = truth["total"]
        self.assertAlmostEqual(total["TOTAL"]["agatston"], sum(total[a]["agatston"] for a in heart.ARTERIES), places=1)
        biggest = max(truth["plaques"], key=lambda plaque: plaque["agatston"])
        ds = min(slices, key=lambda ds: abs(float(ds.ImagePositionPatient[2]) - biggest["center_mm_xyz"][2]))
        j, i = ((biggest["center_mm_xyz"][k] - float(ds.ImagePositionPatient[k])) / float(ds.PixelSpacing[0]) for k in (0, 1))
        near = ds.pixel_array[round(i) - 3:round(i) + 4, round(j) - 3:round(j) + 4]
        self.assertGreater(near.max(), 130)

    def test_none_is_none(self):
        truth, _ = made(22, plaques=0)
        self.assertEqual((truth["total"]["TOTAL"]["agatston"], truth["plaques"]), (0, []))

    def test_every_position_holds_the_same_patient(self):
        places = {}
        for position in chest.POSITIONS:
            truth, slices = made(23, plaques=1, position=position, others=["descending aorta"], increment=12.0)
            places[position] = [p["center_mm_xyz"] for p in truth["plaques"] + truth["others"]]
            row, column = np.array(slices[0].ImageOrientationPatient, float).reshape(2, 3)
            self.assertAlmostEqual(np.cross(row, column)[2], 1, msg=position)
        self.assertEqual(len({json.dumps(p) for p in places.values()}), 1)

    def test_what_a_reader_would_not_sign_is_named(self):
        for value, reason in (({"kernel": "sharp"}, "kernel"), ({"noise": 33.0}, "noise"), ({"kvp": 100.0}, "voltage"), ({"derived": "MIP"}, "derived"), ({"motion_mm": 4.0}, "motion")):
            p = {**chest.draw(1), **PLAIN, **value}
            self.assertEqual(chest.reasons(p, False), [reason])
        self.assertEqual(chest.reasons({**PLAIN, "others": ["stent"]}, True), ["field of view", "metal"])


if __name__ == "__main__":
    unittest.main()

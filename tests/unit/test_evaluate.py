#!/usr/bin/python3
"""What `./run evaluate` counts as right, and which phantoms and folders it takes."""
import contextlib
import importlib
import io
import pathlib
import sys
import tempfile
import unittest

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from evaluate import frame  # noqa: E402
from evaluate.row import Row  # noqa: E402

STAGES = sorted(p.stem for p in frame.HERE.glob("*.py") if p.stem not in ("frame", "row"))


class Evaluate(unittest.TestCase):
    def test_a_number_is_right_within_its_tolerance_and_a_word_when_it_is_the_same(self):
        self.assertEqual([Row("x", 10.0, v, 0.5).verdict for v in (9.4, 9.5, 10.5, 10.6)], ["OFF", "ok", "ok", "OFF"])
        self.assertEqual([Row("x", "done", v).verdict for v in ("done", "failed")], ["ok", "OFF"])
        self.assertEqual(Row("x", None, 3.0).verdict, "no truth")
        self.assertEqual(Row("x", 10.0, None).verdict, "OFF")

    def test_the_table_shows_error_and_verdict_and_the_sum_counts_them(self):
        rows = [Row("score", 10.0, 12.0, 1), Row("score", 20.0, 20.0, 1), Row("score", None, 5.0)]
        with contextlib.redirect_stdout(io.StringIO()) as out:
            frame.print_rows("one", rows)
            frame.print_summary(rows)
        lines = out.getvalue().splitlines()
        self.assertEqual(lines[0].split(), ["one", "score", "10.0", "12.0", "+2.0", "+20.0", "OFF"])
        self.assertEqual(lines[1].split()[-1], "ok")
        self.assertIn("score: 1 of 2 within bounds; absolute error: median 10.0 %, most 20.0 %", lines)

    def test_a_folder_is_a_series_or_as_many_as_have_a_truth(self):
        with tempfile.TemporaryDirectory() as scratch:
            scratch = pathlib.Path(scratch)
            with self.assertRaises(SystemExit):
                frame.folders(scratch)
            for name in ("a", "b"):
                (scratch / name).mkdir()
                (scratch / name / "im").write_bytes(bytes(128) + b"DICM")
            self.assertEqual(frame.folders(scratch), [(scratch.name, scratch, None)])
            (scratch / "b" / "truth.json").write_text('{"total": 1}')
            self.assertEqual(frame.folders(scratch), [("b", scratch / "b", {"total": 1})])

    def test_every_stage_has_phantoms_that_a_seed_changes(self):
        self.assertTrue(STAGES)
        for name in STAGES:
            stage = importlib.import_module(f"evaluate.{name}")
            self.assertTrue((frame.HERE.parent / "phantom" / f"{stage.GENERATOR}.py").exists(), name)
            one, two = list(stage.cases(1)), list(stage.cases(2))
            self.assertTrue(one and two, name)
            self.assertEqual(len({c[0] for c in one}), len(one), "names")
            self.assertFalse({c[1] for c in one} & {c[1] for c in two}, name)
            self.assertEqual(one, list(stage.cases(1)), "the same seed, the same phantoms")
            self.assertTrue(callable(stage.rows))

    def test_more_series_of_one_of_a_user_are_judged_too(self):
        class Stage:
            __name__ = "evaluate.calcium"

            @staticmethod
            def rows(truth, expected, result):
                return [Row(truth or "plain", None, None)]

            @staticmethod
            def others(folder, files, result, scratch, seed):
                made = scratch / "made"
                made.mkdir(parents=True)
                yield "a view", made, f"seed {seed}"

        class Result:
            def __init__(self, files, out, stage, configuration):
                self.files = files

        kept, frame.results.Result = frame.results.Result, Result
        try:
            with tempfile.TemporaryDirectory() as scratch, contextlib.redirect_stdout(io.StringIO()) as out:
                scratch = pathlib.Path(scratch)
                Stage.others, once = staticmethod(lambda *given: iter(())), Stage.others
                self.assertEqual(len(frame.judge(Stage, "x", scratch, None, None, scratch, 7)), 1)
                Stage.others = staticmethod(lambda folder, *rest: once(folder, *rest) if "made" not in str(folder) else iter(()))
                rows = frame.judge(Stage, "x", scratch, None, None, scratch, 7)
        finally:
            frame.results.Result = kept
        self.assertEqual([r.quantity for r in rows], ["plain", "seed 7"])
        self.assertIn("x, a view", out.getvalue())

    def test_a_reading_of_calcium_tells_flags_from_routine(self):
        calcium = importlib.import_module("evaluate.calcium")
        self.assertEqual([calcium.noise_of(r) for r in ("Noise of 31 HU is above the target of 20 HU", "Metal")], [31, None])

        class Result:
            files, objects, report = [], {}, type("R", (), {"groups": [], "total": staticmethod(lambda: {"agatston": 40.0})})
            entry = {"verdict": "done", "reason": "", "measurements": [], "evaluations": [
                {"name": "Comment", "value": v} for v in ("Mass is not calibrated: x", "Noise of 22 HU is above", "Metal in the heart")]}
        one = calcium.Reading(Result)
        self.assertEqual((one.flags, one.low, one.high), (["Metal in the heart"], 40.0, 40.0))

        truth = {"total": {"TOTAL": {"agatston": 0.0}}, "read": {"TOTAL": {"agatston": 0.0}}, "reasons": [], "plaques": [], "others": []}
        Result.entry["evaluations"] = []
        off = {r.of_which or r.quantity: r.verdict for r in calcium.rows(truth, None, Result)}
        self.assertEqual(off["total within 5 % or flagged"], "OFF")
        Result.entry["verdict"] = "not evaluable"
        self.assertEqual(calcium.rows(truth, None, Result)[-1].verdict, "OFF")
        truth["reasons"] = ["kernel"]
        self.assertEqual(calcium.rows(truth, None, Result)[-1].verdict, "ok")

    def test_painted_calcium_is_judged_by_its_fate(self):
        calcium = importlib.import_module("evaluate.calcium")
        place = lambda x: np.array([float(x), 0.0, 0.0])
        def reading(low, high, counted=(), uncertain=()):
            one = object.__new__(calcium.Reading)
            one.verdict, one.reason, one.scored, one.low, one.high = "done", "", True, low, high
            one.counted_at, one.uncertain_at = [(place(x), artery) for x, artery in counted], [place(x) for x in uncertain]
            return one
        def plaque(artery, x, score):
            return {"artery": artery, "agatston": score, "hu": 500.0, "center_mm_xyz": [x, 0, 0], "places": [[x, 0, 0]]}
        plaques = [plaque("LAD", 0, 40.0), plaque("RCA", 50, 30.0), plaque("LCX", 100, 20.0), plaque("LM", 150, 0.5)]
        spots = [{"kind": "aortic wall", "agatston": 9.0, "hu": 500.0, "center_mm_xyz": [x, 0, 0]} for x in (200, 250, 105)]
        truth = {"painted": True, "same": reading(10.0, 12.0), "plaques": plaques, "others": spots, "total": {"TOTAL": {"agatston": 90.0}}}
        after = reading(60.0, 80.0, [(1, "LCX"), (201, None)], [52, 251])
        off = [(r.of_which, r.verdict) for r in calcium.painted_rows(truth, after)]
        seen, counted, not_counted = "painted plaques counted or uncertain", "painted plaques counted", "painted: what must not count was not counted"
        self.assertEqual([v for name, v in off if name == seen], ["ok", "ok", "OFF"])
        self.assertEqual([v for name, v in off if name == counted], ["ok", "OFF", "OFF"])
        self.assertEqual([v for name, v in off if name == not_counted], ["OFF", "ok"])  # the third lies beside a plaque
        bounds = {name: v for name, v in off}
        self.assertEqual(bounds["painted: artery right or unassigned"], "OFF")
        self.assertEqual(bounds["painted: lower bound not above the truth"], "ok")
        self.assertEqual(bounds["painted: upper bound not below the truth"], "OFF")
        truth["same"] = reading(0.0, 0.0, [(201, None)])
        self.assertEqual([r.verdict for r in calcium.painted_rows(truth, reading(200.0, 200.0, [(201, None)])) if r.of_which == not_counted], ["ok"])
        self.assertEqual({r.of_which: r.verdict for r in calcium.painted_rows(truth, reading(200.0, 200.0))}["painted: lower bound not above the truth"], "OFF")

    def test_options_may_stand_between_stage_and_folders(self):
        options = frame.parse(["calcium", "--seeds", "2", "a", "b"])
        self.assertEqual((options.stage, options.seeds, [str(f) for f in options.folders]), ("calcium", 2, ["a", "b"]))


if __name__ == "__main__":
    unittest.main()

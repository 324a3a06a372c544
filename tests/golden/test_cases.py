#!/usr/bin/python3
"""Series as sites have them, which programs of the field stumbled over: each gives its right score or
the reason why there is none. They are made of one phantom whose score is known. What needs a peer
is in tests/net/test_requestor.c (a destination that has the object, or does not support a report)
and tests/unit/test_series.c (a source that counts fewer).
"""
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1])]
import peers  # noqa: E402

SCORE = 491.7
PHANTOM = ("--size", "320", "--fov", "350", "--seed", "5", "--scale", "0.88", "--noise", "16")

# By folder and variant: the score or None, and what is said: of the result, or in the log where
# there is none.
TABLE = {
    "04-thickness-mixed/gated_mixed": (SCORE, "ECG gating differs between slices: yes in 24 images, no in 24"),
    "04-thickness-mixed/kernel_mixed": (None, "Convolution Kernel is B35f in 24 images, B70f in 24 images, which enhances edges"),
    "04-thickness-mixed/thickness_mixed": (None, "slices are up to 6.00 mm thick (limit 5.0 mm)"),
    "07-frame-of-reference-uids/for_uid_differs_each": (SCORE, "Frame of Reference"),
    "07-frame-of-reference-uids/for_uid_two_halves": (None, "frame"),
    "09-no-preamble/meta_ts_missing": (SCORE, "no Transfer Syntax UID"),
    "09-no-preamble/meta_without_preamble": (SCORE, ""),
    "09-no-preamble/no_preamble_explicit": (SCORE, ""),
    "09-no-preamble/no_preamble_implicit": (SCORE, ""),
    "11-rescale-missing/rescale_empty": (SCORE, "escale"),
    "11-rescale-missing/rescale_missing_hu_signed": (SCORE, "escale"),
    "11-rescale-missing/rescale_missing_unsigned": (None, "RescaleIntercept is missing in 48 of 48 images"),
    "11-rescale-missing/rescale_slope_missing_only": (SCORE, "escale"),
    "12-known-element-as-UN/ds_as_un": (SCORE, ""),
    "16-same-instance-two-encodings/same_uid_other_meta": (SCORE, "48 instances came again"),
    "17-misleading-missing-slice/ipp_all_same": (None, "47 images lie where another lies and show something else; first at (0.0, 0.0, 0.0) mm"),
    "17-misleading-missing-slice/one_slice_other_size": (None, "image 41 at 49.5 mm has 256 x 256 pixels, the others 320 x 320"),
    "18-misleading-uid-messages/dicomdir_file_itself": (None, "a DICOMDIR: give its folder"),
    "18-misleading-uid-messages/meta_says_explicit_data_implicit": (SCORE, "implicit"),
    "18-misleading-uid-messages/meta_says_implicit_data_explicit": (SCORE, "explicit"),
    "18-misleading-uid-messages/sop_uid_missing_in_dataset": (None, "no SOP Instance UID"),
    "18-misleading-uid-messages/study_uid_missing": (None, "no Study Instance UID"),
    "18-misleading-uid-messages/uids_letters": (None, "SOP Instance UID 1.2.ANON.0 is no UID"),
    "18-misleading-uid-messages/uids_too_long": (None, "has 68 characters, 64 are allowed"),
    "19-modality-lower-case/modality_lower": (SCORE, ""),
    "19-modality-lower-case/modality_missing": (None, "Modality is absent, wanted CT"),
    "20-phases-in-one-series/two_kernels_same_positions": (SCORE, "taken 48 images with ConvolutionKernel B35f (soft kernel); left are 48 with ConvolutionKernel B70f"),
    "20-phases-in-one-series/two_phases_same_positions": (SCORE, "taken 48 images with NominalPercentageOfCardiacPhase 70 (diastole); left are 48 with NominalPercentageOfCardiacPhase 35"),
    "21-message-bits-allocated/bits_alloc_12_packed": (None, "BitsAllocated 12"),
    "21-message-bits-allocated/ds_decimal_comma": (None, "PixelSpacing 1,09375\\1,09375 makes no sense"),
    "21-message-bits-allocated/rescale_type_us": (None, "Rescale Type US"),
    "22-enhanced-too-few-items/enh_tofew_perframe": (None, "40 items for 48 frames"),
    "25-artificial-120kv-kernel/sa36_100kv": (SCORE, "Kernel Sa36f\\3 gives the numbers of 120 kV (KVP is 100)"),
}


def anode(*words):
    return subprocess.run([peers.ANODE, *map(str, words)], capture_output=True, text=True, check=False, timeout=peers.HANG_S)


def analysed(folder, out, *more):
    """Score or None, and all that is said: reason, remarks, log."""
    done = anode("analyze", "-s", "calcium", "-o", out, *more, folder)
    said = done.stderr
    if not (out / "report.json").exists():
        return None, said
    [entry] = json.loads((out / "report.json").read_text())["results"]
    said = "\n".join([entry["reason"], *(e["value"] for e in entry["evaluations"])])
    scores = [m["value"] for m in entry["measurements"] if m["code"][0] == "450360000"]
    return scores[0] if entry["verdict"] == "done" else None, said


class Cases(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cases = peers.shared_data("dicom", "cases")
        if not cls.cases:
            peers.skip("the shared data are not here")
        scratch = tempfile.TemporaryDirectory(prefix="anode-cases-")
        cls.addClassCleanup(scratch.cleanup)
        cls.tmp = pathlib.Path(scratch.name)
        cls.base = peers.phantom(*PHANTOM)
        environment = {**os.environ, "BASE": str(cls.base), "PHANTOM": str(peers.ROOT / "tests/phantom/calcium.py"), "PYTHONDONTWRITEBYTECODE": "1"}
        scripts = sorted(cls.cases.glob("*/make.py"))

        def make(script):
            subprocess.run(["/usr/bin/python3", script, cls.tmp / script.parent.name], env=environment, check=True, capture_output=True, timeout=peers.HANG_S)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(make, scripts))
        for path in peers.dicom_files(cls.base):  # the script takes the meta headers of all for equally long
            data = path.read_bytes()
            (cls.tmp / "09-no-preamble/no_preamble_explicit" / path.name).write_bytes(data[144 + int.from_bytes(data[140:144], "little"):])
        cls.made = {str(v.relative_to(cls.tmp)) for s in scripts for v in (cls.tmp / s.parent.name).iterdir() if v.is_dir()}

    def test_each_series_gives_its_score_or_the_true_reason(self):
        self.assertEqual({name for name in self.made if not name.startswith("24-")}, set(TABLE))

        def run(name):
            given = self.tmp / name
            if name.endswith("dicomdir_file_itself"):
                given /= "DICOMDIR"
            return name, analysed(given, self.tmp / "out" / name)
        (self.tmp / "out").mkdir()
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            results = dict(pool.map(run, sorted(TABLE)))
        for name, (score, said) in results.items():
            wanted, words = TABLE[name]
            print(f"{name}: {score}, wanted {wanted}: {said[:300]!r}")
            with self.subTest(name):
                self.assertEqual(score, wanted, said)
                self.assertIn(words, said)

    def test_inspect_tells_what_the_analysis_takes(self):
        for variant in ("two_kernels_same_positions", "two_phases_same_positions"):
            [series] = json.loads(anode("inspect", "--json", self.tmp / "20-phases-in-one-series" / variant).stdout)["series"]
            [choice] = [c for c in series["choices"] if c["analysis"] == "calcium"]
            self.assertIn(TABLE[f"20-phases-in-one-series/{variant}"][1], choice["remark"])
            taken = series["images"][choice["image"] - 1]
            self.assertEqual(taken["size"][2], 48, taken)

    def test_values_that_stand_for_120_kv_are_not_scaled_again(self):
        (self.tmp / "scale.yaml").write_text(
            f"node: {{data_dir: {self.tmp}}}\npeers: [{{ae_title: A, host: 127.0.0.1, port: 104}}]\n"
            "routes: [{name: r, when: {Modality: CT}, run: calcium, options: {other_kvp: scale}}]\n")
        score, said = analysed(self.tmp / "25-artificial-120kv-kernel/sa36_100kv", self.tmp / "scaled", "-c", self.tmp / "scale.yaml")
        self.assertEqual(score, SCORE, said)

    def test_routes_match_what_is_absent(self):
        folder = next(self.cases.glob("23-*"))
        answer = anode("route", "-c", folder / "route.yaml", self.base)
        self.assertIn("native only", answer.stdout, answer.stderr)

    def test_routes_match_texts_of_any_character_set(self):
        folder = next(self.cases.glob("24-*"))
        for variant in ("ir87", "iso_dash"):
            answer = anode("route", "-c", folder / "route.yaml", self.tmp / folder.name / variant)
            self.assertRegex(answer.stdout, r"(?m)route.*\br\b", answer.stderr)
            self.assertFalse(re.search("no route", answer.stdout), answer.stdout)


if __name__ == "__main__":
    sys.exit(unittest.main())

#!/usr/bin/python3
"""`anode analyze` and its folder: results of two runs, series or patients are never mixed, names are
stable, the report is what doc/json.md says.

Sanitized: Analyze.test_two_patients_of_one_series_uid_are_never_mixed
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1]), str(pathlib.Path(__file__).resolve().parents[1] / "net")]
import peers  # noqa: E402
import pydicom  # noqa: E402
import schema  # noqa: E402
from node import make_series  # noqa: E402


def tree(folder):
    """Everything below a folder."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


class Analyze(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="anode-analyze-")
        self.addCleanup(scratch.cleanup)
        self.tmp = pathlib.Path(scratch.name)

    def anode(self, *words, status=0, env=None):
        done = subprocess.run([peers.ANODE, "analyze", *map(str, words)], capture_output=True, text=True, check=False, cwd=self.tmp,
                              timeout=1200, env=dict(os.environ, **(env or {})))
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def report(self, folder):
        document = json.loads((folder / "report.json").read_text())
        self.assertEqual(schema.complaints(document, "anode.report/1"), [])
        for result in document["results"]:
            for name in result["objects"] + result["pictures"] + result["nifti"]:
                self.assertTrue((folder / name).is_file(), name)
        return document

    def test_a_used_folder_is_refused(self):
        make_series(self.tmp / "in", 1, count=2)
        out = self.tmp / "out"
        self.anode("-o", out, self.tmp / "in")
        before = tree(out)
        said = self.anode("-o", out, self.tmp / "in", status=1)
        self.assertIn(f"{out} is not empty", said.stderr)
        self.assertEqual(tree(out), before)
        said = self.anode("-o", out / "report.json", self.tmp / "in", status=1)
        self.assertIn("is no folder", said.stderr)
        (self.tmp / "empty").mkdir()
        self.anode("-o", "empty", self.tmp / "in")
        self.assertEqual(tree(self.tmp / "empty"), before)

    def test_without_a_folder_a_new_one_is_made_and_named(self):
        make_series(self.tmp / "in", 1, count=2)
        said = self.anode(self.tmp / "in")
        name = re.fullmatch(r"results are in (anode-\d{8}-\d{6})\n", said.stdout)
        self.assertTrue(name, said.stdout)
        self.assertEqual(sorted(p.name for p in self.tmp.iterdir()), [name[1], "in"])
        self.report(self.tmp / name[1])

    def test_what_fails_leaves_no_folder(self):
        make_series(self.tmp / "in", 1, count=2)
        said = self.anode(self.tmp / "in", status=2, env={"VK_ICD_FILENAMES": "/nonexistent", "VK_DRIVER_FILES": "/nonexistent"})
        self.assertIn("mesa-vulkan-drivers", said.stderr)
        self.anode(self.tmp / "absent", status=1)
        (self.tmp / "none").mkdir()
        self.assertIn("no DICOM series found", self.anode("none", status=1).stderr)
        self.assertEqual(tree(self.tmp), ["in", "in/im-0001.dcm", "in/im-0002.dcm", "none"])

    def test_two_patients_of_one_series_uid_are_never_mixed(self):
        one = make_series(self.tmp / "in", 1, count=3)
        uids = {k: pydicom.dcmread(one[0])[k].value for k in ("StudyInstanceUID", "SeriesInstanceUID")}
        make_series(self.tmp / "in2", 2, count=2, **uids)
        said = self.anode("-o", "out", "--json", "in", "in2")
        document = self.report(self.tmp / "out")
        self.assertEqual(json.loads(said.stdout), document)
        self.assertEqual(len(document["results"]), 2)
        folders = {}
        for result in document["results"]:
            parents = {str(pathlib.PurePath(name).parent) for name in result["objects"]}
            self.assertEqual(len(parents), 1, result["objects"])
            objects = [pydicom.dcmread(self.tmp / "out" / name) for name in result["objects"]]
            patients = {d.PatientID for d in objects}
            self.assertEqual(len(patients), 1, "results of two patients in one folder")
            evidence = next(d for d in objects if d.Modality == "SR").CurrentRequestedProcedureEvidenceSequence
            named = {i.ReferencedSOPInstanceUID.split(".")[-3] for s in evidence for r in s.ReferencedSeriesSequence for i in r.ReferencedSOPSequence}
            self.assertEqual({f"ID{number}" for number in named}, patients, "evidence of another patient")
            folders[patients.pop()] = parents.pop()
        self.assertEqual(set(folders), {"ID1", "ID2"})
        # names do not depend on what else there is
        make_series(self.tmp / "in0", 3, count=2)
        again = self.report_of("again", "in0", "in2", "in")
        self.assertTrue(set(folders.values()) < again, f"{folders} {again}")
        for name in folders.values():
            self.assertRegex(name, r"^calcium-[0-9a-f]{12}$")

    def report_of(self, out, *paths):
        """The folders of the results of a run."""
        self.anode("-o", out, *paths)
        return {str(pathlib.PurePath(r["objects"][0]).parent) for r in self.report(self.tmp / out)["results"]}


if __name__ == "__main__":
    if not peers.ANODE.exists():
        peers.skip(f"{peers.ANODE} is not built")
    if subprocess.run([peers.ANODE, "devices"], capture_output=True, check=False).returncode != 0:
        peers.skip("no Vulkan device")
    unittest.main()

#!/usr/bin/python3
"""A cine that comes as a series a slice, the last of them when the others have been analysed, beside one of a long axis: the results are then, to the UID, those
of all slices together.
"""
import pathlib
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import peers  # noqa: E402
import pydicom  # noqa: E402
from golden.test_cardiac import SMALL  # noqa: E402
from node import Sink, Site, need, ports, send, times  # noqa: E402
from phantom import cardiac  # noqa: E402
from results import Result  # noqa: E402


def uids(data_sets):
    return {d.SOPInstanceUID for d in data_sets}


def volume(data_sets):
    report, = (d for d in data_sets if d.Modality == "SR")
    return next(m for m in numbers(report) if m.ConceptNameCodeSequence[0].CodeValue == "8821-1").MeasuredValueSequence[0].NumericValue


def numbers(ds):
    for item in ds.get("ContentSequence", []):
        if item.ValueType == "NUM":
            yield item
        yield from numbers(item)


class Late(unittest.TestCase):
    def test_a_slice_that_comes_late(self):
        need("storescp", "storescu")
        folder = pathlib.Path(tempfile.mkdtemp(prefix="anode-cardiac-"))
        self.addCleanup(shutil.rmtree, folder)
        cardiac.make(cardiac.arguments([str(folder / "in"), *SMALL, "--series", "slices", "--long-axis"]))
        files = peers.dicom_files(folder / "in")
        late = [f for f in files if int(pydicom.dcmread(f, stop_before_pixels=True).SeriesNumber) == 1]
        alone = Result(files, folder / "out", "cardiac")
        self.assertTrue(any("cine 4ch" in e["what"] for e in alone.entry["exclusions"]), alone.entry["exclusions"])
        expected = {pydicom.dcmread(p, stop_before_pixels=True).SOPInstanceUID for p in alone.out.glob("*.dcm")}
        own, pacs = ports(2)
        with Sink(folder / "pacs", pacs) as sink, Site(folder / "node", own, {"PACS": pacs}, run="cardiac", when="Modality: MR", results="sr, gsps, sc, seg", extra=times(quiet_s=1)) as site:
            send([f for f in files if f not in late], own, program="storescu")
            site.wait_idle()
            first = sink.objects()
            self.assertIn("SR", {d.Modality for d in first})
            self.assertFalse(uids(first) & expected)
            send(late, own, program="storescu")
            site.wait_idle()
            later = [d for d in sink.objects() if d.SOPInstanceUID not in uids(first)]
        self.assertEqual(uids(later), expected)
        self.assertEqual(volume(later), volume([d for _, d in alone.objects.values()]))


if __name__ == "__main__":
    unittest.main()

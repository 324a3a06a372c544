#!/usr/bin/python3
"""An archive that holds a report of an earlier study: the node finds it by C-FIND and C-GET, and the next report
compares with it. What an archive refuses costs nothing but a word.
"""
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import audit  # noqa: E402
import peers  # noqa: E402
import pydicom  # noqa: E402
import sr  # noqa: E402
from node import Orthanc, Sink, Site, make_series, phantom, ports, send, times  # noqa: E402
from pydicom.uid import generate_uid  # noqa: E402

YAML = """node:
  ae_title: ANODE
  bind: 127.0.0.1
  port: {port}
  data_dir: {data}
peers:
  - {{ae_title: {title}, host: 127.0.0.1, port: {peer}, find: false, earlier: true}}
audit: {{file: {trail}}}
routes:
  - {{name: calcium, when: {{Modality: CT}}, run: calcium, results: [sr], return_to: [source]}}
"""


class EarlierSite(Site):
    """A node whose only peer is asked for earlier results."""

    def __init__(self, folder, port, title, peer):
        self.folder = pathlib.Path(folder)
        text = YAML.format(port=port, data=self.folder / "data", title=title, peer=peer, trail=self.folder.parent / "audit.log")
        peers.Node.__init__(self, folder, port, {}, yaml=text + times(quiet_s=1))
        peers.wait_for(lambda: not self.running() or self.answers(), 60, "the node to answer")


def moved(files, folder, **attributes):
    """The series once more, as one of another study."""
    folder.mkdir()
    study, series = generate_uid(), generate_uid()
    for path in files:
        ds = pydicom.dcmread(path)
        ds.StudyInstanceUID, ds.SeriesInstanceUID = study, series
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{series[:50]}.{ds.InstanceNumber}"
        for keyword, value in attributes.items():
            setattr(ds, keyword, value)
        ds.save_as(folder / path.name)
    return peers.dicom_files(folder), str(study)


class Earlier(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="anode-earlier-")
        self.addCleanup(scratch.cleanup)
        self.tmp = pathlib.Path(scratch.name)

    def report(self, pacs, node, study):
        """The report of a study, once it is in the archive."""
        def found():
            if not node.running():
                raise peers.PeerError(f"the node ended:\n{node.tail()}")
            return [s for s in pacs.series(study) if s["Modality"] == "SR"]
        [series] = peers.wait_for(found, 300, f"the report\n{node.tail(5)}")
        return pacs.read(series["Instances"][0])

    def test_the_next_report_compares_with_the_one_in_the_archive(self):
        dicom, http, port = ports(3)
        first, study = phantom()
        second, later = moved(first, self.tmp / "second", StudyDate="20260301", PatientSize="1.80", PatientWeight="81")
        with Orthanc(self.tmp / "pacs", dicom, http, port, route=False) as pacs, EarlierSite(self.tmp / "node", port, "ORTHANC", dicom) as node:
            send(first, port, calling="ORTHANC")
            earlier = self.report(pacs, node, study)
            self.assertEqual(sr.children(earlier, "CONTAINER", "121068"), [])
            self.assertIn("earlier results: none at the source", node.log_text())
            send(second, port, calling="ORTHANC")
            report = self.report(pacs, node, later)
            [container] = sr.children(report, "CONTAINER", "121068")
            [text] = sr.children(container, "TEXT", "121069")
            [composite] = sr.children(container, "COMPOSITE", "122075")
            self.assertIn("2024-02-29: Agatston", text.TextValue)
            asked = [(q.QueryRetrieveLevel, q.PatientID, q.StudyInstanceUID) for q in audit.questions(self.tmp / "audit.log")]
            patient = earlier.PatientID
            self.assertEqual(asked, [("STUDY", patient, ""), ("STUDY", patient, ""), ("SERIES", patient, study)])
            self.assertEqual(composite.ReferencedSOPSequence[0].ReferencedSOPInstanceUID, earlier.SOPInstanceUID)

    def test_an_archive_without_retrieval_costs_a_word(self):
        peer, port = ports(2)
        with Sink(self.tmp / "sink", peer, "PACS") as sink, EarlierSite(self.tmp / "node", port, "PACS", peer) as node:
            send(make_series(self.tmp / "in", 1), port)
            node.wait_idle()
            [report] = sink.objects()
            self.assertEqual(report.Modality, "SR")
            self.assertIn("the source has no C-FIND and C-GET of reports", node.log_text())


if __name__ == "__main__":
    peers.need("dcmsend", "storescp")
    unittest.main()

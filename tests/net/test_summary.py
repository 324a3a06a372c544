#!/usr/bin/python3
"""A node that runs `calcium`, `lungs` and `summary`: when the analyses of a study are done, one summary of their reports comes, also where the node
was killed in between; after a late series another one that replaces it and says so, and names a report that has been lost in the meantime.
"""
import pathlib
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import pydicom  # noqa: E402
from node import Sink, Site, make_series, measurements, need, phantom, ports, send, texts, times, wait_for  # noqa: E402

PATIENT = ("StudyInstanceUID", "PatientName", "PatientID", "PatientBirthDate", "PatientSex")


def counts(ds):
    """Analyses with and without a result, of a summary; None: it is none."""
    found = {code: value for code, value, unit in measurements(ds)}
    return (int(found["SUMMARY-DONE"]), int(found["SUMMARY-NONE"])) if "SUMMARY-DONE" in found else None


def copied(summary, reports):
    """Numbers of the reports that the summary has: (concept, value, unit)."""
    own = set(measurements(summary))
    return [m for r in reports for m in measurements(r) if m in own]


class Summary(unittest.TestCase):
    def test_a_refused_series_a_crash_a_late_series_and_a_lost_report(self):
        need("storescp", "storescu")
        folder = pathlib.Path(tempfile.mkdtemp(prefix="anode-summary-"))
        self.addCleanup(shutil.rmtree, folder)
        score, study = phantom()
        first = pydicom.dcmread(score[0], stop_before_pixels=True)
        same = {k: first.get(k) for k in PATIENT}
        refused = make_series(folder / "refused", 1, count=2, **same)
        late = make_series(folder / "late", 2, count=2, **same)
        own, pacs = ports(2)
        with Sink(folder / "pacs", pacs) as sink:
            site = Site(folder / "node", own, {"PACS": pacs}, run="[calcium, lungs, summary]", route="study", results="sr", extra=times(quiet_s=1))
            try:
                said = site.command("route", folder / "refused").stdout
                self.assertIn("summary gathers the reports of the study when its analyses are done", said)
                send([*score, *refused], own, program="storescu")
                wait_for(lambda: any(j["state"] == "done" for j in site.jobs()), 60, "a job that is done")
                site.kill()
                site = site.again()
                site.wait_idle()
                old, = (d for d in sink.objects() if counts(d))
                self.assertEqual(counts(old), (2, 2))
                reports = [d for d in sink.objects() if not counts(d)]
                self.assertEqual(len(reports), 4)
                self.assertGreaterEqual(len(copied(old, reports)), 6, "numbers of calcium and lungs")
                self.assertEqual(len(sink.objects()), 5, "nothing is told twice")

                lost, = site.rows("SELECT o.sop_uid, o.path FROM outbox o JOIN job j ON j.id = o.job WHERE j.stage = 'lungs' AND j.verdict = 'done'")
                (site.data / lost[1]).unlink()
                send(late, own, program="storescu")
                site.wait_idle()
                new, = (d for d in sink.objects() if counts(d) and d.SOPInstanceUID != old.SOPInstanceUID)
                self.assertEqual(counts(new), (1, 4))
                predecessor = new.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
                self.assertEqual(predecessor.ReferencedSOPInstanceUID, old.SOPInstanceUID)
                self.assertIn(f"the report {lost[0]} is lost and left out; replaces the earlier summary {old.SOPInstanceUID}", texts(new))
            finally:
                site.stop()


if __name__ == "__main__":
    unittest.main()

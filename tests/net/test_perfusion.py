#!/usr/bin/python3
"""A perfusion scan that comes as a series for each point in time, image by image in turn with those of another study: each
study is one job, and its results are to the UID those that `anode analyze` gives for it alone.
"""
import pathlib
import random
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import peers  # noqa: E402
import pydicom  # noqa: E402
from golden.test_perfusion_inputs import SLICES, resort, uids  # noqa: E402
from node import Sink, Site, need, ports, send, times  # noqa: E402
from phantom import perfusion  # noqa: E402
from results import Result  # noqa: E402


class Mixed(unittest.TestCase):
    def test_two_studies_in_turn_are_two_jobs_with_their_own_results(self):
        need("storescp", "storescu")
        folder = pathlib.Path(tempfile.mkdtemp(prefix="anode-perfusion-"))
        self.addCleanup(shutil.rmtree, folder)
        files, expected = [], []
        for seed, lesion in ((2, "large"), (3, "none")):
            o = perfusion.arguments([str(folder / f"{seed}"), "--seed", f"{seed}", "--slices", f"{SLICES}", "--step", "2", "--lesion", lesion])
            perfusion.make(o)
            points = resort(peers.dicom_files(o.out), folder / f"points{seed}", lambda point, k, seed=seed: 100 * seed + point)
            alone = Result(points, folder / f"out{seed}", "perfusion")
            self.assertEqual(alone.entry["verdict"], "done", alone.entry["reason"])
            files += points
            expected += uids(alone.out)
        random.Random(1).shuffle(files)
        own, pacs = ports(2)
        with Sink(folder / "pacs", pacs) as sink, Site(folder / "node", own, {"PACS": pacs}, run="perfusion", results="sr, gsps, sc, seg, pmap", extra=times(quiet_s=1)) as site:
            send(files, own, program="storescu")
            site.wait_idle()
            self.assertEqual([(j["stage"], j["state"], j["priority"]) for j in site.jobs()], [("perfusion", "done", 100)] * 2, "urgent")
            self.assertEqual(sorted(d.SOPInstanceUID for d in sink.objects()), sorted(expected))


if __name__ == "__main__":
    unittest.main()

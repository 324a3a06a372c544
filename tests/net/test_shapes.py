#!/usr/bin/python3
"""Analyses of shapes that no product has (tests/shapes), through the node: several series of a study
go in by C-STORE, and what a destination gets is read back by pydicom and looked at by validators.
"""
import contextlib
import pathlib
import shutil
import tempfile
import unittest

from node import PATIENT, Sink, Site, need, ports, send, texts, times
import peers  # which node.py has found
from golden import shapes_peer
from golden.shapes_peer import cine, predecessor, write_views


def study_times():
    """What a study lacks is waited for, but not for long."""
    return times(quiet_s=1).replace("completion:\n", "completion:\n  study_wait_s: 4\n")


class Shapes(shapes_peer.Checks):
    def setUp(self):
        need("storescp", "dcmsend", "dciodvfy", "dcmpschk", "dcentvfy")
        if not peers.SHAPES.exists():
            raise AssertionError(f"{peers.SHAPES} is not built")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="anode-shapes-"))
        self.addCleanup(shutil.rmtree, self.folder)

    @contextlib.contextmanager
    def node(self, run, when, results, **settings):
        p, q = ports(2)
        with Sink(self.folder / "pacs", q) as sink, \
                Site(self.folder / "node", p, {"PACS": q}, program=peers.SHAPES, run=run, when=when,
                     results=results, **settings) as site:
            try:
                yield site, sink
            except BaseException:
                print(site.log_text()[-6000:])
                raise
            self.assertNotIn(PATIENT.split("^")[0], site.log_text())

    def test_views_of_a_study_with_one_missing_then_with_it(self):
        """The optional view never comes, a needed one is late."""
        views = write_views(self.folder / "in")
        early = {name: views[name] for name in ("left cc", "right cc")}
        with self.node("shape-views", "Modality: MG", "sr, gsps, sc", extra=study_times()) as (site, sink):
            send([path for path, _ in early.values()], site.port)
            site.wait_idle()
            first = sink.objects()
            report = self.assert_views(first, early)
            self.assertIsNone(predecessor(report))
            self.assertRegex(texts(report), r"right mlo: missing after [0-9]+ s")
            self.assertRegex(texts(report), r"View right mlo is missing")
            self.assertNotRegex(texts(report), r"left mlo: missing")
            job, = site.jobs()
            self.assertRegex(site.job(job["id"])["evidence"], r"left cc: .*; right cc: .*; left mlo: none has come, which may be; right mlo: missing")
            send([views["right mlo"][0]], site.port)
            site.wait_idle()
            known = {d.SOPInstanceUID for d in first}
            later = self.assert_views([d for d in sink.objects() if d.SOPInstanceUID not in known], views)
            self.assertEqual(predecessor(later), report.SOPInstanceUID)
            self.assertNotRegex(texts(later), r"right mlo.*missing")

    def test_cine_series_of_a_study_become_one_stack_of_phases(self):
        files, pixels = cine(self.folder / "in")
        with self.node("shape-cine", "Modality: MR", "sr, sc, seg, pmap", extra=times(quiet_s=1)) as (site, sink):
            send(files, site.port)
            site.wait_idle()
            objects = sink.objects()
        self.assert_cine(objects, files, pixels)

    def test_a_route_of_two_analyses_gives_the_results_of_both(self):
        """Each takes its series of the study; what one of them takes is none of the other's."""
        views, (files, pixels) = write_views(self.folder / "views", 803), cine(self.folder / "cine", 803)
        with self.node("[shape-views, shape-cine]", "Modality: /^M[RG]$/", "sr, gsps, sc, seg, pmap", route="both", extra=study_times()) as (site, sink):
            send([path for path, _ in views.values()] + files, site.port, program="storescu")
            site.wait_idle()
            objects = sink.objects()
            self.assertEqual(sorted((j["stage"], j["state"]) for j in site.jobs()), [("shape-cine", "done"), ("shape-views", "done")])
        of = {slot: [d for d in objects if (d.SeriesNumber - 9000) // 10 == slot] for slot in (91, 92)}
        self.assertEqual(len(objects), len(of[91]) + len(of[92]))
        self.assert_views(of[91], views)
        self.assert_cine(of[92], files, pixels)


if __name__ == "__main__":
    unittest.main(verbosity=2)

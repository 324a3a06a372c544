#!/usr/bin/python3
"""The node against what peers send and refuse: files that no toolkit would send, and destinations
that do not support what is made.
"""
import contextlib
import os
import pathlib
import re
import sys
import tempfile
import time
import unittest

from node import CT, Process, Sink, Site, make_series, need, ports, send, wait_for
import peers  # beside node.py, which has found it
import raw

EXPLICIT = "1.2.840.10008.1.2.1"
CPU_S = 10 if os.environ.get("ASAN_OPTIONS") or "asan" in str(peers.ANODE) else 1  # of receiving a file; sanitizers take several times as much
ANSWER_S = 20  # far more than an answer takes on a loaded machine; a hang is longer
# Only a CT image: no report and no picture.
PROFILE = """[[TransferSyntaxes]]
[Plain]
TransferSyntax1 = LittleEndianExplicit
[[PresentationContexts]]
[Only]
PresentationContext1 = CTImageStorage\\Plain
[[Profiles]]
[Default]
PresentationContexts = Only
"""


def receiving_s(site):
    """Seconds of the processor that the node's processes but its core and workers took so far."""
    ticks, workers = 0, {worker["pid"] for worker in site.workers()}
    for pid in set(site.children()) - workers:
        with contextlib.suppress(OSError):  # it has just ended: its parent counts it
            text = pathlib.Path(f"/proc/{pid}/stat").read_text()
            ticks += sum(int(word) for word in text[text.rindex(")") + 2:].split()[11:15])  # own, and of children that ended
    return ticks / os.sysconf("SC_CLK_TCK")


def parts(data):
    """SOP class, SOP instance, transfer syntax and data set of a file, as far as it has them."""
    found = {}
    at = 132 if data[128:132] == b"DICM" else 0
    while data[at:at + 2] == b"\2\0" and at + 8 <= len(data):
        long_form = data[at + 4:at + 6] in (b"OB", b"UN")
        size = int.from_bytes(data[at + 8:at + 12] if long_form else data[at + 6:at + 8], "little")
        start = at + (12 if long_form else 8)
        found[data[at + 2]] = data[start:start + size].rstrip(b"\0 ").decode("latin-1")
        at = start + size
    usable = re.compile(r"[0-9.]{3,64}")
    named = [found.get(number, "") if usable.fullmatch(found.get(number, "")) else default for number, default in ((2, CT), (3, "1.2.3.4"), (16, EXPLICIT))]
    return (*named, data[at:])


class Delivery(unittest.TestCase):
    def setUp(self):
        need("storescp", "dcmsend", "echoscu")
        scratch = tempfile.TemporaryDirectory(prefix="anode-delivery-")
        self.addCleanup(scratch.cleanup)
        self.tmp = pathlib.Path(scratch.name)

    def test_whatever_a_peer_sends_the_next_one_is_served(self):
        (self.tmp / "unpacked").mkdir()
        files = peers.hostile_files(self.tmp / "unpacked")
        if not files:
            self.skipTest("the shared data are not here")
        p, q = ports(2)
        answers, used = {}, {}
        with Sink(self.tmp / "pacs", q) as sink, Site(self.tmp / "node", p, {"PACS": q}) as site:
            for path in files:
                started = time.monotonic()
                data, before = path.read_bytes(), receiving_s(site)
                if path.suffix == ".bin":  # what a peer sends from its first byte on
                    self.assertIsNotNone(raw.replay(p, data, seconds=ANSWER_S), path)
                    status = None
                else:
                    status = raw.store(p, *parts(data), seconds=ANSWER_S)
                self.assertLess(time.monotonic() - started, ANSWER_S, path)
                used[path] = receiving_s(site) - before
                answers[status] = answers.get(status, 0) + 1
            send(make_series(self.tmp / "in", 1), p)
            site.wait_idle(300)
            self.assertTrue(site.running())
            self.assertTrue([d for d in sink.objects() if d.StudyInstanceUID == "1.2.826.0.1.3680043.10.1234.1.1" and d.Modality == "SR"])
            self.assertNotIn("ended by signal", site.log_text())
            self.assertEqual([j for j in site.jobs() if j["state"] == "failed"], [])
        print(f"{len(files)} files, at most {max(used.values()):.2f} s each, by status:", {("none" if s is None else f"{s:04x}"): n for s, n in answers.items()})
        self.assertLessEqual(max(used.values()), CPU_S, max(used, key=used.get))
        self.assertIn(0, answers)
        # A700: one claims pixels of more bytes than any object may have.
        self.assertLessEqual(set(answers), {None, 0, 0x0111, 0x0117, 0xA700, 0xA900, 0xC000})

    def test_what_the_destination_does_not_support_is_given_up_and_shown(self):
        p, q = ports(2)
        (self.tmp / "profile.cfg").write_text(PROFILE)
        (self.tmp / "got").mkdir()
        with Process(["storescp", "-xf", self.tmp / "profile.cfg", "Default", "-od", self.tmp / "got", q], self.tmp / "storescp.log") as sink:
            sink.wait_listening(q)
            with Site(self.tmp / "node", p, {"PACS": q}) as site:
                send(make_series(self.tmp / "in", 1), p)
                outbox = wait_for(lambda: (o := site.status()["peers"][0]["outbox"])["failed"] and not o["pending"] and o, 60, "the end of the delivery")
                self.assertIn("the peer does not support", outbox["trouble"])
                objects = site.job(site.jobs()[0]["id"])["objects"]
                self.assertEqual({o["attempts"] for o in objects}, {1})
                self.assertIn("the peer does not support Comprehensive 3D SR Storage", {o["reason"] for o in objects})


if __name__ == "__main__":
    sys.exit(unittest.main())

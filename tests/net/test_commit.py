#!/usr/bin/python3
"""A result counts as delivered when its destination has said that it keeps it: storage commitment of
Orthanc, whose report comes over an association of its own, and C-FIND.
"""
import sys

from node import TIMES, Orthanc, Sink, Site, make_series, need, ports, run_tests, send, wait_for

# Loses the first two results that it has acknowledged.
FORGETFUL = """
lost = 0
function OnStoredInstance(instanceId, tags, metadata)
  if tags['Modality'] ~= 'CT' and lost < 2 then
    lost = lost + 1
    Delete(instanceId)
  end
end
"""


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def study(number):
    return f"1.2.826.0.1.3680043.10.1234.{number}.1"


def results(orthanc, number):
    return sorted(s["Modality"] for s in orthanc.series(study(number)) for _ in s["Instances"] if s["Modality"] != "CT")


def sent(node):
    return [li for li in node.log_text().splitlines() if "object=" in li and " sent" in li and "not sent" not in li]


def orthanc_commits(tmp):
    """What it has lost it says, and that is sent again; nothing is delivered before it is committed."""
    node_port, dicom, http = ports(3)
    (tmp / "forgetful.lua").write_text(FORGETFUL)
    with Orthanc(tmp / "pacs", dicom, http, node_port, route=False, LuaScripts=[str(tmp / "forgetful.lua")]) as orthanc:
        with Site(tmp / "node", node_port, {"ORTHANC": dicom}, peer="confirm: commit") as node:
            send(make_series(tmp / "in", 1), node_port, calling="ORTHANC")
            node.wait_idle()
            text = node.log_text()
            check("committed or not" in text, f"no report came: {node.tail(20)}")
            check(text.count("not sent, again") == 2 and "storage commitment failed (0112)" in text, f"what was lost: {node.tail(20)}")
            check(results(orthanc, 1) and len(results(orthanc, 1)) == 2, f"Orthanc has {results(orthanc, 1)}")
            check(len(sent(node)) == 2, f"sent: {sent(node)}")


def without_commitment_it_is_looked_for(tmp):
    """By C-FIND; who has neither never gets a delivery that counts, and is told so."""
    node_port, dicom, http, sink = ports(4)
    (tmp / "forgetful.lua").write_text(FORGETFUL)
    with Orthanc(tmp / "pacs", dicom, http, node_port, route=False, LuaScripts=[str(tmp / "forgetful.lua")]) as orthanc, Sink(tmp / "mute", sink, "MUTE") as mute:
        extra = TIMES.replace("sending:\n", "sending:\n  commit_wait_s: 5\n")
        with Site(tmp / "node", node_port, {"ORTHANC": dicom, "MUTE": sink}, peer="confirm: find", extra=extra, return_to="source, MUTE") as node:
            send(make_series(tmp / "in", 2), node_port, calling="ORTHANC")
            wait_for(lambda: len(results(orthanc, 2)) == 2 and len(sent(node)) == 2, 60, f"what was lost comes again ({node.tail(5)})")
            text = node.log_text()
            check("C-FIND does not find it" in text, f"what was lost: {node.tail(20)}")
            wait_for(lambda: "destination=MUTE" in node.log_text() and "no C-FIND" in node.log_text(), 60, f"a word on MUTE ({node.tail(5)})")
            check(mute.files() and not any("MUTE" in li for li in sent(node)), f"MUTE: {sent(node)}")


def a_report_that_does_not_come(tmp):
    """It is waited for in vain, the results go again, and nothing counts as delivered."""
    node_port, dicom, http, elsewhere = ports(4)
    extra = TIMES.replace("sending:\n", "sending:\n  commit_wait_s: 2\n")
    with Orthanc(tmp / "pacs", dicom, http, elsewhere, route=False) as orthanc, Site(tmp / "node", node_port, {"ORTHANC": dicom}, peer="confirm: commit", extra=extra) as node:
        send(make_series(tmp / "in", 3), node_port, calling="ORTHANC")
        wait_for(lambda: node.log_text().count("no report of storage commitment within 2 s") >= 3, 60, f"refusals ({node.tail(5)})")
        check(len(results(orthanc, 3)) == 2 and not sent(node), f"Orthanc has {results(orthanc, 3)}, sent: {sent(node)}")


TESTS = [orthanc_commits, without_commitment_it_is_looked_for, a_report_that_does_not_come]


def main():
    need("dcmsend", "storescp")
    return run_tests("commit", TESTS)


if __name__ == "__main__":
    sys.exit(main())

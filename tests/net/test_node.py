#!/usr/bin/python3
"""The node against real peers: DCMTK's tools send and receive, processes are killed, destinations
are down. Each test is a sentence; each has a node, a data folder and ports of its own.

usage: test_node.py [NAME...]    only tests whose name contains one of NAME

With sanitizers, of those that walk through the same code one:
Sanitized: a_series_becomes_results_for_each_sender a_peer_that_vanishes_loses_nothing
Sanitized: what_was_acknowledged_survives_kills_of_the_core a_destination_that_hangs_delays_no_other
Sanitized: no_destination_of_many_is_left_out a_late_instance_makes_one_new_run
Sanitized: a_series_that_was_cut_off_is_waited_for the_same_again_is_ignored
Sanitized: a_core_that_stalls_costs_the_association two_patients_with_one_series_uid
Sanitized: orthanc_as_source_confirms_the_count own_results_that_come_back text_that_is_not_utf8
Sanitized: json_answers_are_what_their_document_says a_worker_that_dies_or_hangs
Sanitized: a_job_that_always_fails a_device_that_is_not_there two_workers_run_two_jobs
Sanitized: a_full_or_broken_disk a_full_disk_under_the_database an_input_that_no_parser_takes
Sanitized: reload_takes_a_new_configuration a_stop_in_the_middle connections_that_say_nothing
Sanitized: associations_beyond_the_limit after_an_outage_all_that_waits jobs_can_be_sent_again
Sanitized: finished_series_are_forgotten what_has_no_record_is_swept results_that_are_lost
Sanitized: a_damaged_file_is_noticed many_senders_at_once
"""
import concurrent.futures
import errno
import json
import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import pathlib
import traceback

import pydicom

import raw
from faults import Faults
from node import (CHEST, CT, HANG_S, NEVER_QUIET, PATIENT, TIMES, Orthanc, PeerError, Sink, Site, acknowledged, make_series, measurements, need, phantom, ports, send, texts, times, uid, wait_for, yaml)
import audit  # beside peers.py, which node.py has found
import schema

AT_ONCE = 4
ANSWER_S = 10  # far more than an answer takes on a loaded machine; what waits for another process waits longer


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def equal(found, wanted, what):
    check(found == wanted, f"{what}: {found!r}, not {wanted!r}")


def kinds(objects):
    return sorted(d.Modality for d in objects)


def one_set(objects, study):
    """Exactly one result set: an SR and no object twice."""
    own = [d for d in objects if d.StudyInstanceUID == study]
    uids = [d.SOPInstanceUID for d in own]
    equal(len(uids), len(set(uids)), "distinct objects at the destination")
    reports = [d for d in own if d.Modality == "SR"]
    equal(len(reports), 1, "reports at the destination")
    return reports[0]


def echo(port, calling="PACS", called="ANODE"):
    return subprocess.run(["echoscu", "-v", "-aet", calling, "-aec", called, "127.0.0.1", str(port)], capture_output=True, text=True, timeout=HANG_S)


def a_series_becomes_results_for_each_sender(tmp):
    p, q = ports(2)
    with Sink(tmp / "pacs", q) as sink, Site(tmp / "node", p, {"PACS": q}) as site:
        for number, program in ((1, "dcmsend"), (2, "storescu")):
            send(make_series(tmp / f"in{number}", number), p, program=program)
        site.wait_idle()
        for number in (1, 2):
            study = f"1.2.826.0.1.3680043.10.1234.{number}.1"
            report = one_set(sink.objects(), study)
            equal(report.PatientID, f"ID{number}", "patient of the report")
        names = {folder: {str(pydicom.dcmread(str(f), stop_before_pixels=True).file_meta.ImplementationVersionName) for f in (site.data / folder).rglob("*.dcm")} for folder in ("series", "outbox")}
        equal(names["series"], names["outbox"], "names of this implementation in files received and made")
        equal(len(names["series"]), 1, "names of this implementation")
        for series in site.status()["series"]:
            equal(series["state"], "routed", "state of the series")
            equal(series["instances"], 8, "instances")
            check("8 instances" in series["evidence"], f"evidence: {series['evidence']}")
        return site.log_text()


def wrong_titles_are_rejected_with_the_right_reason(tmp):
    p, q = ports(2)
    with Site(tmp / "node", p, {"PACS": q}) as site:
        equal(echo(p).returncode, 0, "echo of a known peer")
        # PS3.8 table 9-21: result 1, source 1, reason 7 and 3.
        for arguments, reason in (({"called": "OTHER"}, "Called AE Title Not Recognized"), ({"calling": "NOBODY"}, "Calling AE Title Not Recognized")):
            said = echo(p, **arguments)
            text = said.stdout + said.stderr
            check(said.returncode != 0, "a wrong title was accepted")
            check("Rejected Permanent" in text and "Service User" in text and reason in text, f"wrong rejection: {text}")
        return site.log_text()


def a_peer_that_vanishes_loses_nothing_that_was_acknowledged(tmp):
    p, q = ports(2)
    files = make_series(tmp / "in", 1, count=60, size=256)
    with Sink(tmp / "pacs", q), Site(tmp / "node", p, {"PACS": q}) as site:
        log = tmp / "storescu.log"
        with open(log, "w") as out:
            sender = subprocess.Popen(["storescu", "-v", "-aet", "PACS", "-aec", "ANODE", "127.0.0.1", str(p), *map(str, files)], stdout=out, stderr=out, env=dict(os.environ, TCP_NODELAY="1"))
            try:
                wait_for(lambda: log.read_text().count("Store Response (Success)") >= 5, 30, "some instances")
            finally:
                sender.kill()
                sender.wait()
        answered = acknowledged(log.read_text(), files)
        site.wait_idle()
        for f in answered:
            check(site.has_file(uid(f)), f"{f.name} was acknowledged and is not there")
        equal(list((site.data / "drafts").iterdir()), [], "drafts left")
        equal(echo(p).returncode, 0, "echo afterwards")
        series = site.status()["series"][0]
        check(len(answered) <= series["instances"] <= len(answered) + 1, f"{series['instances']} of {len(answered)} acknowledged")
        # An association that is aborted in order does no harm either.
        subprocess.run(["storescu", "--abort", "-aet", "PACS", "-aec", "ANODE", "127.0.0.1", str(p), *map(str, files)], capture_output=True, timeout=HANG_S)
        site.wait_idle()
        equal(site.status()["series"][0]["instances"], len(files), "instances after all were sent")
        return site.log_text()


def jobs_pending_at_a_restart_are_done_after_it(tmp):
    p, q = ports(2)
    with Sink(tmp / "pacs", q) as sink:
        with Site(tmp / "node", p, {"PACS": q}) as site:
            send(make_series(tmp / "in1", 1), p)
            site.wait_idle()
            os.kill(site.worker(), signal.SIGSTOP)  # the next job hangs, the one after it waits
            for number in (2, 3):
                send(make_series(tmp / f"in{number}", number), p)
            wait_for(lambda: len(site.jobs()) == 3, 30, "three jobs")
            equal(sorted(j["state"] for j in site.jobs()), ["done", "queued", "running"], "jobs")
            site.kill()
        with site.again() as later:
            later.wait_idle()
            equal([j["state"] for j in later.jobs()], ["done"] * 3, "jobs after the restart")
            text = later.log_text()
        for number in (1, 2, 3):
            one_set(sink.objects(), f"1.2.826.0.1.3680043.10.1234.{number}.1")
        return text


def what_was_acknowledged_survives_kills_of_the_core(tmp):
    chance = random.Random(20261123)
    p, q = ports(2)
    series = {number: make_series(tmp / f"in{number}", number, count=40, size=128) for number in (1, 2, 3)}
    everything = [f for files in series.values() for f in files]
    chance.shuffle(everything)
    answered, left = set(), list(everything)
    text = ""
    with Sink(tmp / "pacs", q) as sink:
        site = Site(tmp / "node", p, {"PACS": q})
        try:
            for _ in range(6):
                sender = subprocess.Popen(["storescu", "-v", "-aet", "PACS", "-aec", "ANODE", "127.0.0.1", str(p), *map(str, left)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                          env=dict(os.environ, TCP_NODELAY="1"))
                time.sleep(chance.uniform(0.02, 0.25))  # the moment of the kill, not a wait for anything
                site.kill()
                answered |= set(acknowledged(sender.communicate(timeout=HANG_S)[0], left))
                left = [f for f in everything if f not in answered]
                site = site.again()
                for f in answered:
                    path = site.has_file(uid(f))
                    check(path, f"{f.name} was acknowledged and is not there")
                    check(pydicom.dcmread(str(path)).PixelData == pydicom.dcmread(str(f)).PixelData, f"{f.name} has changed")
            if left:
                send(left, p, program="storescu")
            status = site.wait_idle()
            equal(status["counts"]["quarantine"]["kept"], 0, "quarantined")
            for number in series:
                study = f"1.2.826.0.1.3680043.10.1234.{number}.1"
                uids = [d.SOPInstanceUID for d in sink.of(study)]
                # A result may be sent again when the node died between its answer and our record:
                # the same object under the same UID, which a PACS takes once.
                last = site.rows("SELECT o.sop_uid FROM outbox o JOIN job j ON o.job = j.id WHERE o.study_uid = ? AND o.kind = 'sr' ORDER BY j.id DESC LIMIT 1", study)
                check(last and last[0][0] in uids, f"the last report of series {number} is at the destination")
                rows = site.rows("SELECT count(*) FROM instance i JOIN series s ON i.series = s.id WHERE s.study_uid = ?", study)
                equal(rows[0][0], 40, f"instances of series {number}")
            text = site.log_text()
        finally:
            site.stop()
    return text


def order_split_and_restart_do_not_change_the_answer(tmp):
    """The source says how many there are, so that no pause between two parts ends the series."""
    files, study = phantom(CHEST)
    chance = random.Random(7)
    shuffled = files[:]
    chance.shuffle(shuffled)

    def in_order(site):
        send(files, site.port, calling="ORTHANC")
        return site

    def shuffled_in_two_with_a_restart(site):
        send(shuffled[:7], site.port, calling="ORTHANC")
        site.kill()
        site = site.again()
        send(shuffled[7:], site.port, calling="ORTHANC")
        return site

    answers, text = [], ""
    dicom, http, nobody = ports(3)
    with Orthanc(tmp / "orthanc", dicom, http, nobody, route=False):
        send(files, dicom, called="ORTHANC")
        for name, deliver in (("a", in_order), ("b", shuffled_in_two_with_a_restart)):
            p, q = ports(2)
            with Sink(tmp / name / "pacs", q) as sink:
                site = deliver(Site(tmp / name / "node", p, {"ORTHANC": dicom, "PACS": q}, extra=NEVER_QUIET, find=("ORTHANC",), return_to="PACS", run="lungs", results="sr, sc"))
                try:
                    site.wait_idle()
                    report = one_set(sink.objects(), study)
                    check(len(measurements(report)) > 10, "the phantom was not measured")
                    equal(site.status()["series"][0]["runs"], 1, "runs")
                    answers.append((sorted((d.Modality, d.SeriesInstanceUID, d.SOPInstanceUID) for d in sink.of(study)), measurements(report)))
                    text += site.log_text()
                finally:
                    site.stop()
    equal(answers[1], answers[0], "shuffled, in two associations, with a restart")
    return text


def a_destination_that_is_down_gets_its_results_later(tmp):
    p, q = ports(2)
    with Site(tmp / "node", p, {"PACS": q}) as site:
        send(make_series(tmp / "in", 1), p)

        def tried():
            objects = site.job(1)["objects"] if site.jobs() else []
            return objects and all(o["attempts"] >= 1 for o in objects) and objects
        for o in wait_for(tried, 30, "an attempt to send"):
            equal(o["state"], "pending", "object")
            check(o["reason"], "no reason shown")
        check(site.status()["peers"][0]["outbox"]["trouble"], "no trouble shown")
        equal(site.stop(), 0, "exit status")
        with site.again() as site, Sink(tmp / "pacs", q) as sink:
            site.wait_idle()
            one_set(sink.objects(), "1.2.826.0.1.3680043.10.1234.1.1")
            return site.log_text()


def a_destination_that_hangs_delays_no_other(tmp):
    p, q, r = ports(3)
    with socket.socket() as hole:  # takes connections and never says a word
        hole.bind(("127.0.0.1", r))
        hole.listen(16)
        extra = TIMES.replace("sending:\n", "sending:\n  connect_timeout_s: 60\n")
        with Sink(tmp / "pacs", q) as sink, Site(tmp / "node", p, {"PACS": q, "HOLE": r}, return_to="HOLE, source", extra=extra) as site:
            send(make_series(tmp / "in", 1), p)
            wait_for(lambda: any(d.Modality == "SR" for d in sink.objects()), 20, "the report at the other destination")
            send(make_series(tmp / "in2", 2), p)
            wait_for(lambda: len([d for d in sink.objects() if d.Modality == "SR"]) == 2, 20, "the second report")
            hole_box = next(x for x in site.status()["peers"] if x["ae_title"] == "HOLE")["outbox"]
            check(hole_box["pending"] > 0, "nothing waits for the one that hangs")
            # While the node waits for it, it reports on what nobody asked: more than fits between two processes.
            start = time.monotonic()
            with raw.associate(p, raw.COMMITMENT, pydicom.uid.ExplicitVRLittleEndian, calling="HOLE") as connection:
                for number in range(40):
                    equal(raw.report(connection, raw.commitment_report(f"1.2.3.{number}", [f"1.2.4.{k}" for k in range(200)])), 0, "answer to a report")
                for wrong in (b"", raw.commitment_report("", ["1.2.4"]), raw.commitment_report("1." * 40, ["1.2.4"])):
                    equal(raw.report(connection, wrong), 0x0115, "answer to a report without a transaction")  # PS3.7 C.5.2
                equal(raw.report(connection, raw.commitment_report("1.2.3", ["9" * 70, "no UID", ""])), 0, "answer to a report of no instances")
            equal(echo(p).returncode, 0, "echo")
            check(site.status()["counts"], "the core answers")
            check(time.monotonic() - start < ANSWER_S, f"the answers took {time.monotonic() - start:.1f} s")
            site.kill()  # a stop would give the delivery time to end
            return site.log_text()


def no_destination_of_many_is_left_out(tmp):
    p, q = ports(2)
    titles = [f"RECEIVER;NO;{n:03}" for n in range(70)]  # more than 1024 bytes of names
    with Site(tmp / "node", p, {"PACS": q, **{title: q for title in titles}}, return_to=", ".join(titles)) as site:
        send(make_series(tmp / "in", 1), p)
        wait_for(lambda: site.jobs() and site.jobs()[0]["state"] == "done", 60, "the end of the job")
        equal(sorted(d for d, in site.rows("SELECT DISTINCT destination FROM outbox")), titles, "destinations")
        return site.log_text()


def a_late_instance_makes_one_new_run_that_names_the_earlier_one(tmp):
    files = make_series(tmp / "in", 1, count=9)
    p, q = ports(2)
    with Sink(tmp / "pacs", q) as sink, Site(tmp / "node", p, {"PACS": q}) as site:
        send(files[:8], p)
        site.wait_idle()
        first = one_set(sink.objects(), "1.2.826.0.1.3680043.10.1234.1.1")
        send(files[8:], p)
        site.wait_idle()
        reports = [d for d in sink.objects() if d.Modality == "SR" and d.SOPInstanceUID != first.SOPInstanceUID]
        equal(len(reports), 1, "reports of the new run")
        named = [i.ReferencedSOPInstanceUID for study in reports[0].PredecessorDocumentsSequence for s in study.ReferencedSeriesSequence for i in s.ReferencedSOPSequence]
        equal(named, [first.SOPInstanceUID], "predecessor")
        equal(site.status()["series"][0]["runs"], 2, "runs")
        send(files, p)  # all of it once more: nothing new
        site.wait_idle()
        equal(len(site.jobs()), 2, "jobs")
        return site.log_text()


def late_instances_at_a_restart_wait_for_more_of_them(tmp):
    files = make_series(tmp / "in", 1, count=9)
    p, q = ports(2)
    with Sink(tmp / "pacs", q):
        with Site(tmp / "node", p, {"PACS": q}, when="Modality: XX") as site:
            send(files[:8], p)
            site.wait_idle()
            send(files[8:], p)
            site.kill()
            with sqlite3.connect(site.data / "state.db") as db:  # the first run was an hour ago
                db.execute("UPDATE series SET first_at = first_at - 3600")
            db.close()
            with site.again() as later:
                later.wait_idle()
                series = later.status()["series"][0]
                equal((series["runs"], series["completeness"]), (2, "quiet"), f"second run: {series['evidence']}")
                return later.log_text()


def a_series_that_was_cut_off_is_waited_for_and_the_report_says_so(tmp):
    files = make_series(tmp / "in", 1)
    p, q = ports(2)
    with Sink(tmp / "pacs", q) as sink, Site(tmp / "node", p, {"PACS": q}, extra=times(quiet_s=1)) as site:
        site.worker()
        subprocess.run(["storescu", "--abort", "-aet", "PACS", "-aec", "ANODE", "127.0.0.1", str(p), *map(str, files[:5])], capture_output=True, timeout=HANG_S)
        site.wait_idle()
        row = site.series(str(pydicom.dcmread(files[0]).SeriesInstanceUID))
        check("one ended without release" in row["evidence"] and float(row["evidence"].split("quiet for ")[1].split()[0]) >= 6, f"evidence: {row['evidence']}")
        check("its transfer was interrupted after 5 instances" in texts(one_set(sink.objects(), pydicom.dcmread(files[0]).StudyInstanceUID)), "the report does not say so")
        other = make_series(tmp / "in2", 2)
        subprocess.run(["storescu", "--abort", "-aet", "PACS", "-aec", "ANODE", "127.0.0.1", str(p), *map(str, other[:5])], capture_output=True, timeout=HANG_S)
        send(other, p)  # from the beginning, as a modality does: five are here already
        site.wait_idle()
        check("interrupted" not in texts(one_set(sink.objects(), pydicom.dcmread(other[0]).StudyInstanceUID)), "what went on counts as interrupted")
        text = site.log_text()
        # The node dies: it cut off what was being sent, and not what had come in order.
        cut, whole = make_series(tmp / "in3", 3), make_series(tmp / "in4", 4)
        send(whole, p)
        wait_for(lambda: site.rows("SELECT 1 FROM series WHERE series_uid = ? AND NOT interrupted", pydicom.dcmread(whole[0]).SeriesInstanceUID), 30, "the end of an association")
        with raw.associate(p, CT, pydicom.uid.ExplicitVRLittleEndian) as connection:
            for f in cut[:3]:
                data = f.read_bytes()
                equal(raw.put(connection, CT, uid(f), data[data.index(b"\x08\0\x08\0CS"):]), 0, "answer")
            site.kill()
    with Sink(tmp / "pacs2", q) as sink, site.again() as later:
        later.wait_idle()
        check("its transfer was interrupted after 3 instances" in texts(one_set(sink.objects(), pydicom.dcmread(cut[0]).StudyInstanceUID)), "what the node cut off itself counts as whole")
        check("interrupted" not in texts(one_set(sink.objects(), pydicom.dcmread(whole[0]).StudyInstanceUID)), "what had come in order counts as interrupted")
        return text + later.log_text()


def an_association_that_goes_on_counts_for_the_next_run(tmp):
    files = make_series(tmp / "in", 1, count=200, size=256)
    p, q = ports(2)
    extra = times(quiet_s=1)
    with Sink(tmp / "pacs", q), Site(tmp / "node", p, {"PACS": q}, extra=extra, when="Modality: XX") as site:
        log = tmp / "storescu.log"
        with open(log, "w") as out:
            sender = subprocess.Popen(["storescu", "-v", "-aet", "PACS", "-aec", "ANODE", "127.0.0.1", str(p), *map(str, files)], stdout=out, stderr=out, env=dict(os.environ, TCP_NODELAY="1"))
        try:
            def answers():
                return log.read_text().count("Store Response (Success)")
            wait_for(lambda: answers() >= 3, 60, "some instances")
            os.kill(sender.pid, signal.SIGSTOP)
            wait_for(lambda: site.status()["series"][0]["runs"] >= 1, 60, "the end of the first run")
            before = answers()
            os.kill(sender.pid, signal.SIGCONT)
            wait_for(lambda: answers() > before, 60, "one instance more")
            os.kill(sender.pid, signal.SIGSTOP)
            check(answers() < len(files), "all instances came before the sender was held up")
            series = site.status()["series"][0]
            check("1 associations open" in series["evidence"], f"second run: {series['evidence']}")
            os.kill(sender.pid, signal.SIGCONT)
            equal(sender.wait(HANG_S), 0, "storescu")
        finally:
            sender.kill()
            sender.wait()
        site.wait_idle()
        equal(site.status()["series"][0]["instances"], 200, "instances")
        return site.log_text()


def the_same_again_is_ignored_and_other_content_is_quarantined(tmp):
    files = make_series(tmp / "in", 1)
    other = make_series(tmp / "other", 1, seed=5)  # the same UIDs, other pixels
    p, q = ports(2)
    with Sink(tmp / "pacs", q) as sink, Site(tmp / "node", p, {"PACS": q}) as site:
        send(files, p)
        site.wait_idle()
        stored = sorted(f.name for f in (site.data / "series").rglob("*.dcm"))
        said = send(files, p, program="storescu")
        equal(len(acknowledged(said.stdout + said.stderr, files)), 8, "duplicates answered with success")
        said = send(other[:1], p, program="storescu", check=False)
        check("0x111" in (said.stdout + said.stderr).lower(), f"other content was answered: {said.stdout}{said.stderr}")
        send(other[:1], p, program="storescu", check=False)
        status = site.wait_idle()
        equal(status["counts"]["quarantine"]["kept"], 1, "quarantined")
        kept = list((site.data / "quarantine").iterdir())
        equal(len(kept), 1, "files in quarantine")
        said = site.command("quarantine").stdout
        check(uid(other[0]) in said and f"quarantine/{kept[0].name}" in said and "other content" in said, f"anode quarantine says: {said}")
        equal(sorted(f.name for f in (site.data / "series").rglob("*.dcm")), stored, "files of the series")
        equal(len(site.jobs()), 1, "jobs")
        one_set(sink.objects(), "1.2.826.0.1.3680043.10.1234.1.1")
        check("quarantined" in site.log_text(), "the reason is logged")
        return site.log_text()


def a_core_that_stalls_costs_the_association_and_no_instance(tmp):
    files = make_series(tmp / "in", 1, count=3)
    p, q = ports(2)
    extra = times(dimse_timeout_s=2)
    with Sink(tmp / "pacs", q), Site(tmp / "node", p, {"PACS": q}, extra=extra) as site:
        send(files[:1], p)
        log = tmp / "storescu.log"
        os.kill(site.pid, signal.SIGSTOP)
        try:
            with open(log, "w") as out:  # one that is here already, then a new one, whatever is answered
                sender = subprocess.Popen(["storescu", "-v", "--no-halt", "-aet", "PACS", "-aec", "ANODE", "127.0.0.1", str(p), *map(str, files[:2])], stdout=out, stderr=out, env=dict(os.environ, TCP_NODELAY="1"))
                second = f"Sending file: {files[1]}"
                wait_for(lambda: sender.poll() is not None or second in log.read_text(), 60, "the end of the wait for a verdict")
        finally:
            os.kill(site.pid, signal.SIGCONT)  # its verdict on the first one comes now
        sender.wait(60)
        check("Received Store Response" not in log.read_text(), f"answered without a verdict: {log.read_text()}")
        check("the core gives no verdict within 2 s" in site.log_text(), "the reason is logged")
        for f in acknowledged(log.read_text(), files):
            check(site.has_file(uid(f)), f"{f.name} was acknowledged and is not there")
        said = send(files[1:], p, program="storescu")
        for f in acknowledged(said.stdout + said.stderr, files):
            check(site.has_file(uid(f)), f"{f.name} was acknowledged and is not there")
        site.wait_idle()
        equal(site.status()["series"][0]["instances"], 3, "instances")
        return site.log_text()


def a_core_that_stalls_during_a_new_instance_keeps_it(tmp):
    files = make_series(tmp / "in", 1, count=2)
    p, q = ports(2)
    extra = times(dimse_timeout_s=2)
    with Sink(tmp / "pacs", q), Site(tmp / "node", p, {"PACS": q}, extra=extra) as site:
        os.kill(site.pid, signal.SIGSTOP)
        try:
            said = subprocess.run(["storescu", "-v", "-aet", "PACS", "-aec", "ANODE", "127.0.0.1", str(p), str(files[0])], capture_output=True, text=True, timeout=HANG_S)
        finally:
            os.kill(site.pid, signal.SIGCONT)
        check(said.returncode != 0, "storescu was content")
        wait_for(lambda: site.has_file(uid(files[0])), 30, "the record of what was received")
        send(files, p)  # again, as a modality does: the first of them is a duplicate now
        for f in files:
            check(site.has_file(uid(f)), f"{f.name} was acknowledged and is not there")
        site.wait_idle()
        equal(len(list((site.data / "series").rglob("*.dcm"))), 2, "files")
        return site.log_text()


def reasons_of_routing_name_no_patient(tmp):
    p, q = ports(2)
    with Sink(tmp / "pacs", q), Site(tmp / "node", p, {"PACS": q}, when="PatientID: TEST*") as site:
        send(make_series(tmp / "in", 1, count=2, PatientID="19500101-1234"), p)
        site.wait_idle()
        why = site.status()["series"][0]["why"]
        equal(why, 'route "calcium": PatientID does not match', "reason in the state")
        check("PatientID does not match" in site.log_text(), "the reason is logged")
        check("19500101-1234" not in site.log_text(), "a patient's ID is in the log")
        said = site.command("route", str(tmp / "in")).stdout
        check("19500101-1234" in said, f"anode route does not show the value: {said}")
        return site.log_text()


def the_quarantine_can_answer_success(tmp):
    files = make_series(tmp / "in", 1, count=1)
    other = make_series(tmp / "other", 1, count=1, seed=5)
    p, q = ports(2)
    with Sink(tmp / "pacs", q), Site(tmp / "node", p, {"PACS": q}, node="duplicate_answer: success") as site:
        send(files, p)
        said = send(other, p, program="storescu")
        equal(acknowledged(said.stdout + said.stderr, other), other, "answered with success")
        equal(site.status()["counts"]["quarantine"]["kept"], 1, "quarantined")
        return site.log_text()


def two_patients_with_one_series_uid_are_never_mixed(tmp):
    one = make_series(tmp / "in", 1)
    two = make_series(tmp / "other", 2, SeriesInstanceUID="1.2.826.0.1.3680043.10.1234.1.2", StudyInstanceUID="1.2.826.0.1.3680043.10.1234.1.1")
    p, q = ports(2)
    with Sink(tmp / "pacs", q) as sink, Site(tmp / "node", p, {"PACS": q}) as site:
        send([f for pair in zip(one, two) for f in pair], p)
        site.wait_idle()
        series = site.status()["series"]
        equal(sorted(s["instances"] for s in series), [8, 8], "instances of each patient's series")
        reports = [d for d in sink.objects() if d.Modality == "SR"]
        equal(sorted(d.PatientID for d in reports), ["ID1", "ID2"], "patients of the reports")
        for report in reports:
            number = report.PatientID[2:]
            for study in report.CurrentRequestedProcedureEvidenceSequence:
                for s in study.ReferencedSeriesSequence:
                    for i in s.ReferencedSOPSequence:
                        check(i.ReferencedSOPInstanceUID.startswith(f"1.2.826.0.1.3680043.10.1234.{number}.3."), "evidence of another patient")
        return site.log_text()


def orthanc_as_source_confirms_the_count(tmp):
    files = make_series(tmp / "in", 1)
    p, dicom, http = ports(3)
    trail = tmp / "audit.log"
    extra = f"{NEVER_QUIET}audit:\n  file: {trail}\n"
    with Orthanc(tmp / "orthanc", dicom, http, p, route=False) as orthanc, Site(tmp / "node", p, {"ORTHANC": dicom}, extra=extra, find=("ORTHANC",)) as site:
        send(files, dicom, called="ORTHANC")
        series = orthanc.find("Series", SeriesInstanceUID="1.2.826.0.1.3680043.10.1234.1.2")
        orthanc.post("/modalities/ANODE/store", series[0]["ID"].encode())
        site.wait_idle()
        found = site.status()["series"][0]
        equal(found["completeness"], "complete", f"verdict ({found['evidence']})")
        check("source has 8" in found["evidence"], found["evidence"])
        sets = [s for s in orthanc.series("1.2.826.0.1.3680043.10.1234.1.1") if s["Modality"] == "SR"]
        equal([len(s["Instances"]) for s in sets], [1], "reports in the PACS")
        asked = wait_for(lambda: audit.questions(trail), 30, "the question in the audit trail")
        equal({(q.QueryRetrieveLevel, q.SeriesInstanceUID, q.NumberOfSeriesRelatedInstances) for q in asked}, {("SERIES", series[0]["MainDicomTags"]["SeriesInstanceUID"], None)}, "what was asked")
        return site.log_text()


def a_series_of_which_the_source_has_more_is_never_shown_as_whole(tmp):
    files, study = phantom(CHEST)
    p, dicom, http = ports(3)
    with Orthanc(tmp / "orthanc", dicom, http, p, route=False) as orthanc, Site(tmp / "node", p, {"ORTHANC": dicom}, find=("ORTHANC",), run="lungs", results="sr, sc", extra=times(longest_wait_s=8)) as site:
        send(files, dicom, called="ORTHANC")
        send(files[:-1], p, calling="ORTHANC")
        site.wait_idle()
        found = site.status()["series"][0]
        equal(found["completeness"], "incomplete", f"verdict ({found['evidence']})")
        check("source has 29" in found["evidence"], found["evidence"])
        instance, = next(s for s in orthanc.series(study) if s["Modality"] == "SR")["Instances"]
        report = orthanc.read(instance)
        check("28 of the 29 instances" in texts(report), f"the report does not say it: {texts(report)}")
        check(len(measurements(report)) > 10, "the phantom was not measured")
        text = site.log_text()
        site.stop()
        # Told to send it, it sends what is missing.
        with Site(tmp / "other", p, {"ORTHANC": dicom}, find=("ORTHANC",), peer="move: true", when="Modality: MR", extra=times(quiet_s=1)) as other:
            send(files[:-1], p, calling="ORTHANC")
            other.wait_idle()
            found = other.status()["series"][0]
            equal((found["completeness"], found["instances"]), ("complete", 29), f"verdict ({found['evidence']})")
            equal(other.log_text().count("fetching it"), 1, "series fetched")
            return text + other.log_text()


def own_results_that_come_back_are_ignored(tmp):
    p, q = ports(2)
    with Sink(tmp / "pacs", q) as sink, Site(tmp / "node", p, {"PACS": q}) as site:
        send(make_series(tmp / "in", 1), p)
        site.wait_idle()
        said = send(sink.files(), p, program="dcmsend")
        equal(said.returncode, 0, "answer to results that come back")
        status = site.wait_idle()
        equal(len(status["series"]), 1, "series")
        check("has come back" in site.log_text(), "not logged")
        return site.log_text()


def a_series_without_route_says_why(tmp):
    p, q = ports(2)
    with Sink(tmp / "pacs", q) as sink, Site(tmp / "node", p, {"PACS": q}, when="Modality: MR") as site:
        send(make_series(tmp / "in", 1), p)
        site.wait_idle()
        series = site.status()["series"][0]
        equal(series["state"], "no route", "state")
        check("Modality" in series["why"] and "CT" in series["why"], f"why: {series['why']}")
        check("no route: " in site.command("status").stdout, "not shown")
        equal(sink.files(), [], "results")
        return site.log_text()


def text_that_is_not_utf8_hides_nothing(tmp):
    p, q = ports(2)
    with Sink(tmp / "pacs", q), Site(tmp / "node", p, {"PACS": q}) as site:
        for number in (1, 2, 3):
            files = make_series(tmp / f"in{number}", number, count=2)
            if number == 2:
                for path in files:
                    content = path.read_bytes()
                    modality = b"\x08\x00\x60\x00CS\x02\x00"
                    equal(content.count(modality + b"CT"), 1, "Modality in the file")
                    path.write_bytes(content.replace(modality + b"CT", modality + b"\xff\xff"))
            send(files, p)
            site.wait_idle()
        listed = [(s["series"].split(".")[-2], s["modality"]) for s in site.status()["series"]]
        equal(listed, [("3", "CT"), ("2", "??"), ("1", "CT")], "series, newest first")
        shown = site.command("status").stdout
        check(all(f".{n}.2 " in shown for n in (1, 2, 3)), f"not all are shown:\n{shown}")
        return site.log_text()


def json_answers_are_what_their_document_says(tmp):
    p, q = ports(2)
    with Sink(tmp / "pacs", q), Site(tmp / "node", p, {"PACS": q}) as site:
        send(make_series(tmp / "in", 1), p)
        site.wait_idle()
        for words, name in ((("status",), "anode.status/1"), (("jobs",), "anode.jobs/1"), (("quarantine",), "anode.quarantine/1"), (("jobs", "show", "1"), "anode.job/1")):
            equal(schema.complaints(json.loads(site.command(*words, "--json").stdout), name), [], f"complaints about {name}")
        again = json.loads(site.command("jobs", "retry", "--failed", "--json").stdout)
        equal(schema.complaints(again, "anode.retry/1"), [], "complaints about a retry")
        equal(again["jobs"], 0, "failed jobs")
        check("0 jobs that had failed are queued again" in site.command("jobs", "retry", "--failed").stdout, "not said")
        shown = site.command("status").stdout
        check(re.search(r"^workers\n  \d+ on .+: (idle|warming)$", shown, re.M), f"no workers:\n{shown}")
        return site.log_text()


def a_worker_that_dies_or_hangs_costs_an_attempt(tmp):
    p, q = ports(2)
    extra = TIMES + "worker:\n  job_deadline_s: 10\n"
    with Sink(tmp / "pacs", q) as sink, Site(tmp / "node", p, {"PACS": q}, extra=extra) as site:
        send(make_series(tmp / "in1", 1), p)
        site.wait_idle()
        for number, hurt in ((2, signal.SIGKILL), (3, None)):
            victim = site.worker()
            os.kill(victim, signal.SIGSTOP)
            send(make_series(tmp / f"in{number}", number), p)
            wait_for(lambda: site.jobs()[0]["state"] == "running", 30, "a running job")
            if hurt:
                os.kill(victim, hurt)
            site.wait_idle()
            job = site.jobs()[0]
            equal(job["state"], "done", "job")
            equal(job["attempts"], 2, "attempts")
            one_set(sink.objects(), f"1.2.826.0.1.3680043.10.1234.{number}.1")
        check("not done within 10 s" in site.log_text(), "deadline not logged")
        check("ended by signal 9" in site.log_text(), "signal not logged")
        return site.log_text()


def an_attempt_lost_by_a_crash_is_not_the_last(tmp):
    p, q = ports(2)
    extra = TIMES + "worker:\n  job_attempts: 2\n"
    with Sink(tmp / "pacs", q) as sink, Site(tmp / "node", p, {"PACS": q}, extra=extra) as site:
        os.kill(site.worker(), signal.SIGSTOP)
        send(make_series(tmp / "in", 1), p)
        os.kill(wait_for(lambda: site.workers("running"), 30, "a running job")[0]["pid"], signal.SIGKILL)
        site.wait_idle()
        job = site.jobs()[0]
        equal((job["state"], job["attempts"]), ("done", 2), "job")
        one_set(sink.objects(), "1.2.826.0.1.3680043.10.1234.1.1")
        return site.log_text()


def a_job_that_always_fails_says_so_at_the_destination(tmp):
    p, q = ports(2)
    extra = TIMES + "worker:\n  job_attempts: 1\n"
    study = "1.2.826.0.1.3680043.10.1234.1.1"
    with Sink(tmp / "pacs", q) as sink:
        with Site(tmp / "node", p, {"PACS": q}, extra=extra) as site:
            os.kill(site.worker(), signal.SIGSTOP)
            send(make_series(tmp / "in", 1), p)
            os.kill(wait_for(lambda: site.workers("running"), 30, "a running job")[0]["pid"], signal.SIGKILL)
            site.wait_idle()
            job = site.jobs()[0]
            equal((job["state"], job["verdict"]), ("failed", "failed"), "job")
            check("ended by signal 9" in job["reason"], f"reason: {job['reason']}")
            refusal = one_set(sink.objects(), study)
            equal(measurements(refusal), [], "measurements of a job that failed")
            check("ended by signal 9" in texts(refusal), f"the report does not say why: {texts(refusal)}")
            site.command("jobs", "retry", "1")
            site.wait_idle()
            equal(site.jobs()[0]["state"], "done", "job by hand")
            reports = [d for d in sink.of(study) if d.Modality == "SR"]
            equal(len({d.SOPInstanceUID for d in reports}), 2, "the report that failed and the one that did not have one UID")
            later = next(d for d in reports if d.SOPInstanceUID != refusal.SOPInstanceUID)
            named = [i.ReferencedSOPInstanceUID for st in later.PredecessorDocumentsSequence for s in st.ReferencedSeriesSequence for i in s.ReferencedSOPSequence]
            equal(named, [refusal.SOPInstanceUID], "predecessor")
            return site.log_text()


NO_DEVICE = {"VK_ICD_FILENAMES": "/nonexistent", "VK_DRIVER_FILES": "/nonexistent"}


def without_a_device_jobs_wait_and_the_node_says_so(tmp):
    p, q = ports(2)
    study = "1.2.826.0.1.3680043.10.1234.1.1"
    with Sink(tmp / "pacs", q) as sink:
        with Site(tmp / "node", p, {"PACS": q}, env=NO_DEVICE) as site:
            send(make_series(tmp / "in", 1), p)
            wait_for(lambda: site.jobs(), 30, "the job")
            status = wait_for(lambda: site.status()["trouble"] and site.status(), 30, "the trouble")
            equal((status["devices"], status["workers"]), ([], []), "devices and workers")
            check("no Vulkan device" in status["trouble"], f"trouble: {status['trouble']}")
            check("all jobs wait: no Vulkan device" in site.log_text(), "the log does not say it")
            os.kill(site.pid, signal.SIGHUP)  # looks again, at once
            wait_for(lambda: "configuration loaded" in site.log_text(), 20, "the reload")
            job = site.jobs()[0]
            equal((job["state"], job["attempts"], job["tries"]), ("queued", 0, 0), "job")
            equal(sink.files(), [], "objects in the PACS")
            text = site.log_text()
        with Site(tmp / "node", p, {"PACS": q}) as site:  # a machine with a device
            site.wait_idle()
            equal(site.jobs()[0]["state"], "done", "the job that had waited")
            equal(site.status()["trouble"], "", "trouble")
            one_set(sink.objects(), study)
            return text + site.log_text()


def a_device_that_is_not_there_holds_the_queue_until_the_configuration_names_another(tmp):
    p, q = ports(2)
    with Sink(tmp / "pacs", q) as sink, Site(tmp / "node", p, {"PACS": q}, extra=TIMES + "worker:\n  device: no such device\n") as site:
        send(make_series(tmp / "in", 1), p)
        wait_for(lambda: site.jobs(), 30, "the job")
        trouble = wait_for(lambda: site.status()["trouble"], 30, "the trouble")
        check("no such device" in trouble and site.status()["devices"][0]["name"] in trouble, f"trouble: {trouble}")
        equal(site.jobs()[0]["attempts"], 0, "attempts")
        site.conf.write_text(yaml(site.data, p, {"PACS": q}))
        os.kill(site.pid, signal.SIGHUP)
        site.wait_idle()
        equal(site.jobs()[0]["state"], "done", "job")
        one_set(sink.objects(), "1.2.826.0.1.3680043.10.1234.1.1")
        return site.log_text()


def two_workers_run_two_jobs_at_once(tmp):
    p, q = ports(2)
    with Sink(tmp / "pacs", q) as sink, Site(tmp / "node", p, {"PACS": q}, extra=TIMES + "worker:\n  devices: [all]\n  per_device: 2\n") as site:
        wait_for(lambda: len(site.workers("idle")) == 2, 60, "two workers")
        stopped = [w["pid"] for w in site.workers()]
        for pid in stopped:  # each takes a job and keeps it
            os.kill(pid, signal.SIGSTOP)
        for number in (1, 2, 3):
            send(make_series(tmp / f"in{number}", number), p)
        wait_for(lambda: len(site.jobs()) == 3 and len(site.workers("running")) == 2, 30, "two running jobs")
        equal(sorted(j["state"] for j in site.jobs()), ["queued", "running", "running"], "jobs")
        equal(len({w["job"] for w in site.workers("running")}), 2, "jobs of the workers")
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
        site.wait_idle()
        equal([(j["state"], j["attempts"]) for j in site.jobs()], [("done", 1)] * 3, "jobs")
        for number in (1, 2, 3):
            one_set(sink.objects(), f"1.2.826.0.1.3680043.10.1234.{number}.1")
        return site.log_text()


def a_worker_that_warms_up_delays_no_answer(tmp):
    """The cache is cold and the worker is stopped while it warms up: many inputs wait for it."""
    p, q = ports(2)
    files = make_series(tmp / "in", 1, count=100, size=16)
    with Sink(tmp / "pacs", q), Site(tmp / "node", p, {"PACS": q}) as site:
        first = wait_for(lambda: [w["pid"] for w in site.workers("warming", "idle") if w["pid"]], 30, "a worker")[0]
        os.kill(first, signal.SIGKILL)  # before it is ready, or after
        shutil.rmtree(site.data / "cache", ignore_errors=True)
        warming = wait_for(lambda: [w["pid"] for w in site.workers("warming") if w["pid"] not in (0, first)], 30, "a worker that warms up")[0]
        os.kill(warming, signal.SIGSTOP)
        send(files, p)
        wait_for(lambda: site.jobs(), 30, "the job")
        slow = 0
        for _ in range(20):  # an answer to a control command comes from the core as well
            start = time.monotonic()
            site.status()
            slow = max(slow, time.monotonic() - start)
        job = site.jobs()[0]
        equal((job["state"], job["attempts"]), ("queued", 0), "the job while no worker is ready")
        send(make_series(tmp / "in2", 2), p)
        os.kill(warming, signal.SIGCONT)
        site.wait_idle(120)
        equal({(j["state"], j["attempts"]) for j in site.jobs()}, {("done", 1)}, "jobs")
        check(slow < 4, f"an answer took {slow:.1f} s")  # a core that sends to a worker that does not read waits 5 s
        return site.log_text()


def a_full_or_broken_disk_costs_no_attempt(tmp):
    p, q = ports(2)
    faults = Faults(tmp)
    kinds_of_trouble = (("write", "/desks/", errno.ENOSPC), ("fsync", "/desks/", errno.EIO), ("mkdir", "/outbox/", errno.ENOSPC), ("create", "/desks/", errno.ENOSPC), ("write", "/desks/", errno.ENOMEM))
    with Sink(tmp / "pacs", q) as sink, Site(tmp / "node", p, {"PACS": q}, env=faults.env, extra=TIMES + "worker:\n  job_attempts: 1\n") as site:
        for number, (operation, part, error) in enumerate(kinds_of_trouble, 1):
            faults.begin(operation, part, error)
            send(make_series(tmp / f"in{number}", number), p)
            waiting = wait_for(lambda: [j for j in site.jobs() if (j["id"], j["state"]) == (number, "queued") and j["waits"] >= 2], 30, f"a job that waits while {operation} fails")[0]
            check(os.strerror(error) in waiting["reason"], f"reason: {waiting['reason']}")
            equal(waiting["attempts"], 0, "attempts of the job that waits")
            check(not [d for d in sink.objects() if d.StudyInstanceUID.endswith(f".{number}.1")], "objects in the PACS")
            check(faults.end() > 0, f"{operation} never failed")
            site.wait_idle()
            equal((site.jobs()[0]["state"], site.jobs()[0]["attempts"]), ("done", 1), f"the job after {operation} failed")
            one_set(sink.objects(), f"1.2.826.0.1.3680043.10.1234.{number}.1")
        return site.log_text()


def a_full_disk_under_the_database_costs_no_attempt(tmp):
    p, q = ports(2)
    faults = Faults(tmp)
    with Sink(tmp / "pacs", q) as sink, Site(tmp / "node", p, {"PACS": q}, env=faults.env, extra=TIMES + "worker:\n  job_attempts: 1\n") as site:
        os.kill(site.worker(), signal.SIGSTOP)
        send(make_series(tmp / "in", 1), p)
        pid = wait_for(lambda: site.workers("running"), 30, "a running job")[0]["pid"]
        faults.begin("write", "state.db-wal")  # the end of the job cannot be written
        os.kill(pid, signal.SIGCONT)
        wait_for(lambda: faults.hits() > 2, 30, "an end that cannot be written")
        faults.end()
        site.wait_idle()
        equal(site.jobs()[0]["state"], "done", "job")
        one_set(sink.objects(), "1.2.826.0.1.3680043.10.1234.1.1")
        return site.log_text()


def an_input_that_is_gone_is_final_at_once(tmp):
    p, q = ports(2)
    files = make_series(tmp / "in", 1)
    with Sink(tmp / "pacs", q) as sink, Site(tmp / "node", p, {"PACS": q}) as site:
        worker = site.worker()
        os.kill(worker, signal.SIGSTOP)
        send(files, p)
        wait_for(lambda: site.workers("running"), 30, "a running job")
        site.has_file(uid(files[3])).unlink()
        os.kill(worker, signal.SIGCONT)
        site.wait_idle()
        job = site.jobs()[0]
        equal((job["state"], job["verdict"], job["attempts"]), ("done", "not evaluable", 1), "job")
        check("missing" in job["reason"], f"reason: {job['reason']}")
        report = one_set(sink.objects(), "1.2.826.0.1.3680043.10.1234.1.1")
        check("missing" in texts(report), f"the report does not say why: {texts(report)}")
        return site.log_text()


def an_input_that_no_parser_takes_is_final_at_once(tmp):
    p, q = ports(2)
    files = make_series(tmp / "in", 1)
    study = pydicom.dcmread(files[0]).StudyInstanceUID
    with Sink(tmp / "pacs", q) as sink, Site(tmp / "node", p, {"PACS": q}) as site:
        worker = site.worker()
        os.kill(worker, signal.SIGSTOP)
        send(files, p)
        wait_for(lambda: site.workers("running"), 30, "a running job")
        for f in files:
            site.has_file(uid(f)).write_bytes(b"no DICOM file" * 100)
        os.kill(worker, signal.SIGCONT)
        site.wait_idle()
        job = site.jobs()[0]
        equal((job["verdict"], job["attempts"]), ("not evaluable", 1), "job")
        report = one_set(sink.objects(), study)  # made of what was recorded
        equal(str(report.PatientID), str(pydicom.dcmread(files[0]).PatientID), "patient of the report")
        return site.log_text()


def failed_jobs_run_again_when_asked(tmp):
    p, q = ports(2)
    with Sink(tmp / "pacs", q) as sink, Site(tmp / "node", p, {"PACS": q}, extra=TIMES + "worker:\n  job_attempts: 1\n") as site:
        for number in (1, 2):
            os.kill(site.worker(), signal.SIGSTOP)
            send(make_series(tmp / f"in{number}", number), p)
            os.kill(wait_for(lambda: site.workers("running"), 30, "a running job")[0]["pid"], signal.SIGKILL)
            site.wait_idle()
        equal([j["state"] for j in site.jobs()], ["failed"] * 2, "jobs")
        site.command("jobs", "retry", "--failed")
        site.wait_idle()
        equal([j["state"] for j in site.jobs()], ["done"] * 2, "jobs")
        check(len(sink.objects()) >= 4, "reports of both, before and after")
        return site.log_text()


def reload_takes_a_new_configuration_or_keeps_the_old_one(tmp):
    p, q, r = ports(3)
    with Site(tmp / "node", p, {"PACS": q}) as site:
        good = yaml(site.data, p, {"PACS": q, "CT2": r})
        site.conf.write_text(good.replace("port:", "prt:", 1))
        os.kill(site.pid, signal.SIGHUP)
        wait_for(lambda: "configuration not changed" in site.log_text(), 20, "a refusal")
        check("node.prt" in site.log_text(), "the key is named")
        check(echo(p, calling="CT2").returncode != 0, "a peer of the refused configuration got in")
        equal(echo(p).returncode, 0, "echo with the old configuration")
        site.conf.write_text(good)
        os.kill(site.pid, signal.SIGHUP)
        wait_for(lambda: echo(p, calling="CT2").returncode == 0, 20, "the new peer")
        new = ports(1)[0]
        site.conf.write_text(yaml(site.data, new, {"PACS": q, "CT2": r}))
        os.kill(site.pid, signal.SIGHUP)
        wait_for(lambda: echo(new).returncode == 0, 20, "the new port")
        equal(site.status()["port"], new, "port shown")
        check(echo(p).returncode != 0, "the old port still answers")
        site.conf.write_text(yaml(tmp / "elsewhere", new, {"PACS": q, "CT2": r}))
        os.kill(site.pid, signal.SIGHUP)
        wait_for(lambda: "node.data_dir changes only with a restart" in site.log_text(), 20, "a refusal of the other folder")
        site.conf.write_text(yaml(site.data, new, {"PACS": q, "CT2": r}))
        equal(site.status()["data_dir"], str(site.data), "data_dir shown")
        return site.log_text()


def an_open_association_outlives_a_reload(tmp):
    files = make_series(tmp / "in", 1, count=60, size=256)
    p, q = ports(2)
    with Sink(tmp / "pacs", q), Site(tmp / "node", p, {"PACS": q}) as site:
        log = tmp / "storescu.log"
        with open(log, "w") as out:
            sender = subprocess.Popen(["storescu", "-v", "-aet", "PACS", "-aec", "ANODE", "127.0.0.1", str(p), *map(str, files)], stdout=out, stderr=out, env=dict(os.environ, TCP_NODELAY="1"))
            wait_for(lambda: "Store Response (Success)" in log.read_text(), 30, "some instances")
            os.kill(site.pid, signal.SIGHUP)
            equal(sender.wait(HANG_S), 0, "storescu")
        equal(len(acknowledged(log.read_text(), files)), 60, "acknowledged")
        wait_for(lambda: "configuration loaded" in site.log_text(), 20, "the reload")
        site.wait_idle()
        equal(site.status()["series"][0]["instances"], 60, "instances")
        return site.log_text()


def a_stop_in_the_middle_loses_nothing(tmp):
    files = make_series(tmp / "in", 1, count=60, size=256)
    p, q = ports(2)
    with Sink(tmp / "pacs", q):
        site = Site(tmp / "node", p, {"PACS": q})
        log = tmp / "storescu.log"
        with open(log, "w") as out:
            sender = subprocess.Popen(["storescu", "-v", "-aet", "PACS", "-aec", "ANODE", "127.0.0.1", str(p), *map(str, files)], stdout=out, stderr=out, env=dict(os.environ, TCP_NODELAY="1"))
            wait_for(lambda: log.read_text().count("Store Response (Success)") >= 3, 30, "some instances")
            equal(site.stop(), 0, "exit status")  # it was not killed
            sender.wait(HANG_S)
        answered = acknowledged(log.read_text(), files)
        equal(list((site.data / "drafts").iterdir()), [], "drafts left")
        with site.again() as later:
            for f in answered:
                check(later.has_file(uid(f)), f"{f.name} was acknowledged and is not there")
            send(files, p)
            later.wait_idle()
            equal(later.status()["series"][0]["instances"], 60, "instances")
            return later.log_text()


def connections_that_say_nothing_hold_up_nobody(tmp):
    p, q = ports(2)
    with Site(tmp / "node", p, {"PACS": q}, extra=times(max_associations=2, max_associations_per_peer=2)) as site:
        silent = []
        try:
            for _ in range(300):  # more than may wait for their request
                silent.append(socket.create_connection(("127.0.0.1", p), HANG_S))
            for _ in range(5):
                equal(echo(p).returncode, 0, "echo beside silent connections of the same address")
        finally:
            for s in silent:
                s.close()
        return site.log_text()


def associations_beyond_the_limit_are_rejected_as_transient(tmp):
    p, q = ports(2)
    file = make_series(tmp / "in", 1, count=1)[0]
    data = pathlib.Path(file).read_bytes()[:4096]
    with Site(tmp / "node", p, {"PACS": q}, extra=times(max_associations=2, max_associations_per_peer=2)) as site:
        busy = []
        try:
            for k in range(2):
                busy.append(raw.associate(p, CT, pydicom.uid.ExplicitVRLittleEndian))
                raw.begin(busy[-1], CT, f"1.2.3.{k}", data[data.index(b"\x08\0\x08\0"):])
            wait_for(lambda: len(list((site.data / "drafts").iterdir())) == 2, HANG_S, "two objects on their way")
            said = echo(p)
            text = said.stdout + said.stderr
            check("Rejected Transient" in text and "Local Limit Exceeded" in text, f"a transient rejection: {text}")
        finally:
            for s in busy:
                s.close()
        wait_for(lambda: echo(p).returncode == 0, HANG_S, "room again")
        return site.log_text()


def a_silent_association_gives_its_place_away(tmp):
    p, q = ports(2)
    with Site(tmp / "node", p, {"PACS": q}, extra=times(max_associations=2, max_associations_per_peer=2)) as site:
        idle = [raw.associate(p, CT, pydicom.uid.ExplicitVRLittleEndian) for _ in range(2)]
        try:
            wait_for(lambda: echo(p).returncode == 0, HANG_S, "a place")
            equal(idle[0].recv(1), b"", "the older one was closed")
            idle[1].setblocking(False)
            try:
                equal(idle[1].recv(1), None, "the younger one is open")
            except BlockingIOError:
                pass
        finally:
            for s in idle:
                s.close()
        return site.log_text()


def after_an_outage_all_that_waits_goes_in_order(tmp):
    p, q = ports(2)
    jobs = 4
    with Site(tmp / "node", p, {"PACS": q}) as site:
        for number in range(1, jobs + 1):
            send(make_series(tmp / f"in{number}", number, count=3), p)
        wait_for(lambda: len([j for j in site.status()["jobs"] if j["state"] == "done"]) == jobs, HANG_S, "all jobs")
        wait_for(lambda: site.log_text().count("not sent, again") > jobs, HANG_S, "attempts in vain")
        with Sink(tmp / "pacs", q) as sink:
            wait_for(lambda: len(sink.objects()) >= 2 * jobs, HANG_S, "all results")
            site.wait_idle()
        text = site.log_text()
        equal(text.count("takes objects again"), 1, "ends of the outage")
        sent = re.findall(r"job=(\d+) destination=PACS object=(\w+) sent", text)
        # Images that are large go first, by several associations at a time (peers[].associations).
        reports = [int(job) for job, kind in sent if kind == "sr"]
        equal(reports, list(range(1, jobs + 1)), "reports in the order of their jobs")
        for job in {job for job, _ in sent}:
            equal([kind for j, kind in sent if j == job][-1], "sr", f"the last object of job {job}")
        return text


def two_nodes_never_share_a_data_folder(tmp):
    p, q, r = ports(3)
    with Site(tmp / "node", p, {"PACS": q}) as site:
        other = tmp / "other.yaml"
        other.write_text(yaml(site.data, r, {"PACS": q}))
        said = subprocess.run([os.environ["ANODE"], "serve", "-c", other], capture_output=True, text=True, timeout=HANG_S)
        equal(said.returncode, 1, "exit status of the second node")
        check(f"pid {site.pid}" in said.stderr, f"the owner is named: {said.stderr}")
        equal(echo(p).returncode, 0, "echo of the first node")
        return site.log_text()


def commands_without_a_node_say_so(tmp):
    p, q = ports(2)
    with Site(tmp / "node", p, {"PACS": q}) as site:
        pass
    for arguments in (["status"], ["jobs"], ["jobs", "show", "1"]):
        said = site.command(*arguments, check=False)
        equal(said.returncode, 2, f"exit status of {arguments}")
        check("no node runs" in said.stderr, said.stderr)
    return ""


def jobs_can_be_sent_again_and_discarded(tmp):
    p, q = ports(2)
    with Site(tmp / "node", p, {"PACS": q}) as site:
        equal(site.command("jobs", "show", "1", check=False).returncode, 1, "no such job")
        send(make_series(tmp / "in", 1), p)
        wait_for(lambda: site.jobs() and site.jobs()[0]["state"] == "done", 30, "the job")
        site.command("jobs", "discard", "1")
        equal({o["state"] for o in site.job(1)["objects"]}, {"discarded"}, "objects")
        with Sink(tmp / "pacs", q) as sink:
            site.command("jobs", "retry", "1")
            site.wait_idle()
            one_set(sink.objects(), "1.2.826.0.1.3680043.10.1234.1.1")
            equal({o["state"] for o in site.job(1)["objects"]}, {"sent"}, "objects")
        return site.log_text()


def finished_series_are_forgotten_when_their_time_is_over(tmp):
    p, q = ports(2)
    with Sink(tmp / "pacs", q):
        with Site(tmp / "node", p, {"PACS": q}, extra=TIMES + "storage:\n  keep_done_days: 0\n") as site:
            send(make_series(tmp / "in", 1), p)
            site.wait_idle()
            check(list((site.data / "series").rglob("*.dcm")), "received files")
        with site.again() as later:
            wait_for(lambda: not later.status()["series"], 20, "the series to be forgotten")
            equal(list((later.data / "series").rglob("*.dcm")), [], "received files")
            equal(list((later.data / "outbox").iterdir()), [], "results")
            return later.log_text()


def what_has_no_record_is_swept_at_start(tmp):
    p, q = ports(2)
    with Sink(tmp / "pacs", q):
        with Site(tmp / "node", p, {"PACS": q}) as site:
            files = make_series(tmp / "in", 1)
            send(files, p)
            site.wait_idle()
        stray = site.data / "series" / "00" / ("0" * 30 + ".dcm")
        shutil.copy(files[0], stray)
        (site.data / "drafts" / "draft-1").write_text("half")
        (site.data / "outbox" / "99" / "1").mkdir(parents=True)
        lost = site.has_file(uid(files[3]))
        lost.unlink()
        with site.again() as later:
            check(not stray.exists(), "a file without a row is there")
            equal(list((later.data / "drafts").iterdir()), [], "drafts")
            check(not (later.data / "outbox" / "99" / "1").exists(), "results of no job")
            check(f"sop={uid(files[3])}" in later.log_text() and "is missing" in later.log_text(), "a missing file is not reported")
            send(files[3:4], p)  # it comes again and takes its place
            check(later.has_file(uid(files[3])), "the missing file did not come back")
            return later.log_text()


def results_that_are_lost_before_they_are_sent_are_made_again(tmp):
    p, q = ports(2)
    study = "1.2.826.0.1.3680043.10.1234.1.1"
    with Site(tmp / "node", p, {"PACS": q}) as site:  # nobody at q: the results wait
        send(make_series(tmp / "in", 1), p)
        wait_for(lambda: site.jobs() and site.jobs()[0]["state"] == "done", 60, "a job that is done")
        waiting = site.rows("SELECT sop_uid FROM outbox ORDER BY id")
        site.kill()
        shutil.rmtree(site.data / "outbox" / "1")
        with Sink(tmp / "pacs", q) as sink, site.again() as later:
            later.wait_idle()
            one_set(sink.objects(), study)
            equal(later.rows("SELECT sop_uid FROM outbox ORDER BY id"), waiting, "UIDs of the results that were made again")
            equal(later.rows("SELECT DISTINCT state FROM outbox"), [("sent",)], "states of the results")
            check("again: results that were to be sent are lost" in later.log_text(), "the loss is not logged")
            return later.log_text()


def a_damaged_file_is_noticed_and_the_same_again_mends_it(tmp):
    def cut(path):
        os.truncate(path, 4000)

    def empty(path):
        os.truncate(path, 0)

    def flip(path):  # of the same size: only the digest tells
        data = bytearray(path.read_bytes())
        data[-100] ^= 4
        path.write_bytes(data)

    p, q = ports(2)
    ways = (pathlib.Path.unlink, cut, empty, flip)
    with Sink(tmp / "pacs", q) as sink:
        site = Site(tmp / "node", p, {"PACS": q})
        try:
            for number, damage in enumerate(ways, 1):
                files = make_series(tmp / f"in{number}", number)
                send(files, p)
                victim = site.has_file(uid(files[2]))
                site.kill()
                damage(victim)
                site = site.again()
                known = f"sop={uid(files[2])} file=" in site.log_text()
                equal(known, damage is not flip, f"{damage.__name__}: reported at start")
                if damage is cut:  # before its analysis
                    send(files[2:3], p)
                    check(site.has_file(uid(files[2])).stat().st_size > 9000, "the file that came again is cut short")
                site.wait_idle()
                if damage is not cut:
                    equal(site.jobs()[0]["verdict"], "not evaluable", f"{damage.__name__}: verdict")
                    check("received file" in site.jobs()[0]["reason"], f"reason: {site.jobs()[0]['reason']}")
                    send(files[2:3], p)
                site.wait_idle()
                equal(site.jobs()[0]["id"], number, "jobs")
                check("received file" not in site.jobs()[0]["reason"], f"{damage.__name__}: reason after the same came again: {site.jobs()[0]['reason']}")
                said = [texts(d) for d in sink.objects() if d.Modality == "SR" and d.StudyInstanceUID.endswith(f".{number}.1")]
                check(damage is cut or sum("received file" in t for t in said) == 1, f"{damage.__name__}: reports of a damaged file: {said}")
                equal(sum("received file" not in t for t in said), 1, f"{damage.__name__}: reports of whole files")
            equal(len(list((site.data / "series").rglob("*.dcm"))), 8 * len(ways), "files")
            return site.log_text()
        finally:
            site.stop()


def many_senders_at_once_leave_what_must_stay_free(tmp):
    p, q = ports(2)
    data = tmp / "node" / "data"
    data.mkdir(parents=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(data)], capture_output=True).returncode:
        print("many_senders_at_once_leave_what_must_stay_free: not run, it needs the right to mount")
        return ""
    free = lambda: os.statvfs(data).f_bavail * os.statvfs(data).f_frsize / 2**20
    try:
        with Site(tmp / "node", p, {"PACS": q}, extra=TIMES + "storage: {reserve_mib: 8}\n") as site:
            site.worker()  # has written its cache
            wait_for(lambda: (data / "reserve").stat().st_blocks * 512 >= 8 << 20, 30, "the reserve")
            dataset = make_series(tmp / "in", 1, count=1, size=2048)[0].read_bytes()
            dataset = dataset[dataset.index(b"\x08\0\x08\0CS"):]
            senders = [raw.associate(p, CT, "1.2.840.10008.1.2.1") for _ in range(6)]
            check(all(senders), "associations")
            least = free()
            try:
                for connection in senders:
                    raw.begin(connection, CT, "1.2.3.4", dataset[:65536])
                for at in range(65536, len(dataset), 65536):
                    for connection in senders:
                        raw._pdv(connection, 0, dataset[at:at + 65536])
                    least = min(least, free())
            except OSError as e:
                raise AssertionError(f"a sender was cut off: {e}") from e
            wait_for(lambda: site.log_text().count("objects are being received") >= 2, 30, "senders that are refused")
            check(least >= 16, f"{least:.1f} MiB were free, not 16")
            for connection in senders:
                connection.close()
            wait_for(lambda: not any((data / "series").rglob("*.dcm")), 30, "files that go")
            check(free() > 30, f"{free():.1f} MiB free afterwards")
            return site.log_text()
    finally:
        subprocess.run(["umount", "-l", str(data)], capture_output=True)


TESTS = [f for f in list(globals().values()) if callable(f) and getattr(f, "__module__", "") == "__main__" and getattr(f, "__code__", None) and f.__code__.co_varnames[:1] == ("tmp",)]


def run(test):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="anode-node-"))
    start = time.monotonic()
    try:
        text = test(folder)
        check(PATIENT not in text and PATIENT.split("^")[0] not in text, "a patient's name is in the log")
        return test.__name__, None, time.monotonic() - start
    except (AssertionError, PeerError, OSError, subprocess.SubprocessError, LookupError, AttributeError) as e:
        logs = "".join(f"--- {log}\n{log.read_text(errors='replace')[-4000:]}\n" for log in sorted(folder.rglob("*.log")))
        return test.__name__, f"{''.join(traceback.format_exception(e))}{logs}", time.monotonic() - start
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main():
    need("storescu", "dcmsend", "echoscu", "storescp")
    chosen = [t for t in TESTS if not sys.argv[1:] or any(name in t.__name__ for name in sys.argv[1:])]
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for name, trouble, seconds in pool.map(run, chosen):
            print(f"{'FAILED' if trouble else 'ok'} {seconds:5.1f} s {name}", flush=True)
            if trouble:
                bad += 1
                print(trouble, flush=True)
    print(f"{len(chosen) - bad} of {len(chosen)} passed")
    return 1 if bad or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())

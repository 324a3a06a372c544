#!/usr/bin/python3
"""The audit trail of a node, in a file and at a syslog receiver by TLS of the test's own."""
import os
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import schema  # noqa: E402
from audit import Message, Receiver  # noqa: E402
from node import CT, PATIENT, ROOT_UID, TIMES, Sink, Site, make_series, need, ports, run_tests, send, wait_for, yaml  # noqa: E402
from peers import ANODE  # noqa: E402
from test_tls import Authority, s_client  # noqa: E402

START, STOP, LOGIN, LOGOUT, STRANGER, CONFIGURED = "110120", "110121", "110122", "110123", "110126", "110129"
MOVED = "110104"


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def echo(port, calling="PACS", called="ANODE"):
    return subprocess.run(["echoscu", "-aet", calling, "-aec", called, "127.0.0.1", str(port)], capture_output=True, check=False).returncode == 0


def section(**keys):
    return "audit:\n" + "".join(f"  {key}: {value}\n" for key, value in keys.items())


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


def trail(texts):
    """The messages, each as the standard has it."""
    found = [Message(t) for t in texts]
    for m in found:
        check(not m.wrong, f"{m.wrong} in {m.line}")
        check(PATIENT.split("^")[0] not in m.line, f"a name in {m.line}")
    return found


def of(messages, kind):
    return [m for m in messages if kind in (m.event, m.type)]


def what_happens_is_written_down(tmp):
    """Start, associations, refusals, what came and went, another configuration, stop: in a file and at a receiver, alike."""
    authority = Authority(tmp / "ours")
    for name in ("node", "pacs", "log"):
        authority.sign(name)
    p, q, r, t = ports(4)
    path = tmp / "audit.log"
    extra = TIMES + authority.section(t) + section(file=path, host="127.0.0.1", port=r)
    with Receiver(r, authority.pem("log"), authority.key("log"), authority.pem("ca")) as receiver:
        with Sink(tmp / "pacs", q), Site(tmp / "node", p, {"PACS": q}, extra=extra, plain=p) as node:
            files = make_series(tmp / "in", 1)
            send(files, p)
            send(files[:3], p)
            send(make_series(tmp / "other", 1, count=1, seed=7), p, check=False)  # other content of the same UID
            check(not echo(p, calling="BUR&LAR"), "a stranger was let in")
            check(not echo(p, called="ELSEWHERE"), "called otherwise")
            s_client(authority, t)  # a handshake without a certificate
            node.wait_idle()
            wait_for(lambda: len(of(trail(lines(path)), MOVED)) >= 4 and len(of(trail(lines(path)), STRANGER)) >= 3, 30, f"what was sent and refused ({node.tail(5)}; {trail(lines(path))})")
            wrong = list(schema.complaints(node.status(), "anode.status/1"))
            check(not wrong, f"status: {wrong}")
            wait_for(lambda: node.status()["audit"]["waiting"] == 0, 30, f"no message that waits ({node.status()['audit']})")
            path.rename(tmp / "audit.old")  # as when a log is rotated: what comes before the signal still goes there
            os.kill(node.pid, signal.SIGHUP)
            wait_for(lambda: of(trail(lines(path)), CONFIGURED), 30, f"the new configuration ({node.tail(5)})")
            mode = path.stat().st_mode & 0o777
            check(mode == 0o600, f"mode {mode:o}")
            log, pid = node.log_text(), node.pid
        written = lines(tmp / "audit.old") + lines(path)
        wait_for(lambda: len(receiver.messages) >= len(written), 30, "as many messages at the receiver")
        check(receiver.messages == written, f"the two differ: {len(receiver.messages)} and {len(written)}; {receiver.failures}")
    messages = trail(written)
    check(messages[0].type == START and messages[-1].type == STOP, f"begins and ends with {messages[0]}, {messages[-1]}")
    check({m.pid for m in messages} == {pid}, "another process")
    logins, logouts = of(messages, LOGIN), of(messages, LOGOUT)
    check(len(logins) == len(logouts) == 3 and all(m.peers == ["PACS", "ANODE"] and m.addresses[0] == "127.0.0.1" and m.outcome == "0" for m in logins + logouts), f"{logins} {logouts}")
    came = [m for m in of(messages, MOVED) if m.peers == ["PACS", "ANODE"]]
    ids = [f"{ROOT_UID}.1.1", "ID1"]
    check([(m.action, m.outcome, m.instances, m.classes, m.ids) for m in came] == [("C", "0", 8, [CT], ids), ("R", "0", 3, [CT], ids), ("C", "4", 1, [CT], ids)], f"came: {came}")
    went = [m for m in of(messages, MOVED) if m.peers == ["ANODE", "PACS"]]
    check(sum(m.instances for m in went) == log.count(" sent") and all(m.ids == ids and m.action == "R" and m.outcome == "0" for m in went), f"went: {went}")
    strangers = of(messages, STRANGER)
    check(len(strangers) == 3 and all(m.outcome == "4" and m.ids == ["127.0.0.1"] for m in strangers), f"{strangers}")
    for said, peers in (("no such ae_title", ["BUR&LAR"]), ("another AE title", ["PACS"]), ("certificate", None)):  # of processes that do not wait for each other
        those = [m for m in strangers if said in m.text]
        check(len(those) == 1 and peers in (None, those[0].peers[1:]), f"{said}: {strangers}")
    check("ID1" not in log, "a Patient ID in the log")


def a_receiver_that_is_away_holds_up_nothing(tmp):
    """Messages wait for it, and come in order; one with a certificate of another name gets none."""
    authority = Authority(tmp / "ours")
    for name in ("node", "pacs"):
        authority.sign(name)
    authority.sign("log")
    authority.sign("thief", san="IP:192.0.2.1")
    p, q, r = ports(3)
    extra = TIMES + authority.section(0) + section(host="127.0.0.1", port=r)
    with Site(tmp / "node", p, {"PACS": q}, extra=extra, plain=p) as node:
        wait_for(lambda: "audit.host" in node.status()["audit"]["trouble"], 30, f"trouble ({node.tail(5)})")
        begin = time.monotonic()
        check(echo(p) and echo(p), "no echo while the receiver is away")
        check(time.monotonic() - begin < 10, "the node waits for it")
        wait_for(lambda: node.status()["audit"]["waiting"] == 5, 30, f"what waits ({node.status()['audit']})")
        with Receiver(r, authority.pem("thief"), authority.key("thief"), authority.pem("ca")) as thief:
            wait_for(lambda: "IP address mismatch" in node.log_text(), 60, f"a refusal ({node.tail(5)})")
            check(not thief.messages, "it was told")
        with Receiver(r, authority.pem("log"), authority.key("log"), authority.pem("ca")) as receiver:
            wait_for(lambda: node.status()["audit"]["waiting"] == 0, 90, f"its messages ({node.tail(5)})")
            wait_for(lambda: len(receiver.messages) >= 5, 30, "all of them at the receiver")  # what is sent may still be on its way
            check([m.type for m in trail(receiver.messages)] == [START] + 2 * [LOGIN, LOGOUT], f"{receiver.messages}")
            now = node.status()["audit"]
            check(now == {"waiting": 0, "written": 5, "lost": 0, "trouble": ""}, f"{now}")


def mistakes_are_pointed_at(tmp):
    p, q = ports(2)
    base = yaml(tmp / "data", p, {"PACS": q})
    (tmp / "wrong.yaml").write_text(base)
    for keys, said in (({"file": tmp}, "is no plain file"), ({"file": tmp / "none" / "audit.log"}, "No such file"), ({"file": "audit.log"}, "absolute path"),
                       ({"host": "127.0.0.1"}, "TLS needs certificate, key and ca"), ({"host": "a b"}, "is no host name")):
        (tmp / "wrong.yaml").write_text(base + section(**keys))
        done = subprocess.run([ANODE, "check", "-c", tmp / "wrong.yaml"], capture_output=True, text=True, check=False)
        check(done.returncode == 1 and said in done.stderr, f"{keys}: {done.stderr}")


TESTS = [what_happens_is_written_down, a_receiver_that_is_away_holds_up_nothing, mistakes_are_pointed_at]


def main():
    need("dcmsend", "storescp", "echoscu", "openssl")
    return run_tests("audit", TESTS)


if __name__ == "__main__":
    sys.exit(main())

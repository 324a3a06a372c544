#!/usr/bin/python3
"""What a person hears of: alerts by a command that writes down what it gets."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import schema  # noqa: E402
from node import TIMES, Sink, Site, make_series, need, ports, run_tests, send, wait_for, yaml  # noqa: E402
from peers import ANODE  # noqa: E402

# What it is told, what it can see of itself, and whether it reaches the data folder.
COMMAND = """#!/usr/bin/python3
import json, os, sys
said = sys.stdin.read()
try:
    data = os.listdir(sys.argv[2])
except OSError as e:
    data = e.errno
line = json.dumps({"said": said, "argv": sys.argv[3:], "environment": dict(os.environ), "data": data, "fds": sorted(os.listdir("/proc/self/fd"))})
with open(sys.argv[1], "a") as out:
    out.write(line + "\\n")
"""


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def command(tmp):
    path = tmp / "command"
    path.write_text(COMMAND)
    path.chmod(0o755)
    (tmp / "told").touch()  # a new file beside what holds the data folder would be refused
    return path, tmp / "told"


def told(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def alerts(path):
    return [json.loads(t["said"]) for t in told(path)]


def section(*words, **keys):
    return "alerts:\n  command: " + json.dumps([str(w) for w in words]) + "\n" + "".join(f"  {k}: {v}\n" for k, v in keys.items())


def a_destination_goes_and_comes(tmp):
    """Down and up are told once each, whatever is tried in between; a refusal that stays is a dead letter."""
    program, out = command(tmp)
    p, q = ports(2)
    tricky = "$(touch /tmp/x); `id` ' \u00e4"
    patient = TIMES.replace("sending:\n", "sending:\n  retry_give_up_s: 3600\n")
    extra = patient + section(program, out, tmp / "node" / "data", tricky)
    with Site(tmp / "node", p, {"PACS": q}, extra=extra) as node:
        send(make_series(tmp / "in", 1), p)
        down = wait_for(lambda: alerts(out), 60, f"an alert ({node.tail(5)})")
        check([a["alert"] for a in down] == ["destination_down"], f"told: {down}")
        wait_for(lambda: node.log_text().count("not sent, again") >= 3, 60, "more attempts")
        with Sink(tmp / "pacs", q):
            node.wait_idle()
            both = wait_for(lambda: len(alerts(out)) > 1 and alerts(out), 60, f"the second ({node.tail(5)})")
        check([a["alert"] for a in both] == ["destination_down", "destination_up"], f"told: {both}")
        node.conf.write_text(node.conf.read_text().replace("retry_give_up_s: 3600", "retry_give_up_s: 1"))
        os.kill(node.pid, signal.SIGHUP)
        send(make_series(tmp / "in2", 2), p)
        # Down again within alerts.pause_s is not told.
        both = wait_for(lambda: len(alerts(out)) > 2 and alerts(out), 60, f"the third ({node.tail(5)})")
        check([a["alert"] for a in both[2:]] == ["dead_letter"], f"told: {both}")
        for each in both:
            wrong = list(schema.complaints(each, "anode.alert/1"))
            check(not wrong, f"{wrong} in {each}")
            check(each["subject"] == "PACS" and each["ae_title"] == "ANODE", f"{each}")
        first = told(out)[0]
        check(first["argv"] == [tricky], f"arguments: {first['argv']}")
        check(set(first["environment"]) <= {"PATH", "LANG", "HOME", "LC_CTYPE"}, f"environment: {first['environment']}")
        check(first["fds"][:3] == ["0", "1", "2"] and len(first["fds"]) <= 4, f"descriptors: {first['fds']}")
        check(first["data"] == 13 or "does not hold all" in node.log_text(), f"the data folder: {first['data']}")


def a_full_disk_and_a_command_that_hangs(tmp):
    """A limit above what any disk has is a full disk; a command that hangs is ended, and the node goes on."""
    program, out = command(tmp)
    p, q = ports(2)
    full = TIMES.replace("min_free_mib: 16", "min_free_mib: 1073741824")
    with Site(tmp / "full", p, {"PACS": q}, extra=full + section(program, out, tmp / "full" / "data", pause_s=1)) as node:
        wait_for(lambda: len(alerts(out)) > 1, 60, f"two alerts ({node.tail(5)})")
        check({a["alert"] for a in alerts(out)} == {"disk_full"}, f"told: {alerts(out)}")
        check(all("instances are refused" in a["text"] for a in alerts(out)), f"told: {alerts(out)}")
    with Sink(tmp / "pacs", q), Site(tmp / "hangs", p, {"PACS": q}, extra=full + section("/usr/bin/sleep", "100", timeout_s=1, pause_s=0)) as node:
        wait_for(lambda: "takes longer than alerts.timeout_s" in node.log_text(), 60, f"its end ({node.tail(5)})")
        start = time.monotonic()
        node.status()
        check(time.monotonic() - start < 5, "the node does not answer beside it")
        check(subprocess.run(["echoscu", "-aet", "PACS", "-aec", "ANODE", "127.0.0.1", str(p)], check=False).returncode == 0, "no echo")


def mistakes_are_pointed_at(tmp):
    p, q = ports(2)
    base = yaml(tmp / "data", p, {"PACS": q})
    (tmp / "plain").write_text("")
    for word, said in (("page", "absolute path"), (tmp / "absent", "No such file"), (tmp / "plain", "Permission denied"), (tmp, "is no program")):
        (tmp / "wrong.yaml").write_text(base + section(word))
        done = subprocess.run([ANODE, "check", "-c", tmp / "wrong.yaml"], capture_output=True, text=True, check=False)
        check(done.returncode == 1 and "alerts.command[0]: " in done.stderr and said in done.stderr, f"{word}: {done.stderr}")


TESTS = [a_destination_goes_and_comes, a_full_disk_and_a_command_that_hangs, mistakes_are_pointed_at]


def main():
    need("dcmsend", "storescp", "echoscu")
    return run_tests("alerts", TESTS)


if __name__ == "__main__":
    sys.exit(main())

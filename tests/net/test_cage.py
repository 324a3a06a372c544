#!/usr/bin/python3
"""What an association, a gate, a worker, a sender and a clerk can do beside their work: nothing; a
herald nothing with what the node keeps. shim_escape.c tries it all from inside them; the same tries
work where node.cage is off, so each of them could.
"""
import os
import pathlib
import pwd
import re
import subprocess
import sys

from node import HANG_S, TIMES, Sink, Site, make_series, need, ports, run_tests, send, wait_for, yaml
from peers import ANODE, skip
from test_tls import Authority

SHIM = ANODE.parent / "tests" / "libshim_escape.so"
EPERM, ENOMEM, EACCES = 1, 12, 13
# What a role may do of what is tried. A worker could open an instance whose name it were told of:
# names are random, and it can list none. A herald becomes a command of the site, which may do what
# its user may, but for what the node keeps.
MAY = {
    "association": set(),
    "gate": set(),
    "clerk": set(),
    "herald": {"shadow", "users", "socket", "local_socket", "fork", "shell", "ptrace", "kill", "setuid", "memory"},
    "worker": {"instance", "memory"},
    "sender": {"result", "socket", "local_socket"},
}
# AddressSanitizer's reports need these: node/proc/calls.h.
LISTED = {"list", "socket", "local_socket", "fork", "ptrace", "memory", "kill", "memory_of_parent"}
SANITIZED_MAY = {
    "association": LISTED,
    "gate": LISTED - {"list"},
    "clerk": LISTED - {"list"},
    "herald": set(),
    "worker": {"fork", "ptrace"},
    "sender": {"fork", "ptrace", "memory"},
}


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def sanitized():
    return "libasan" in subprocess.run(["ldd", ANODE], capture_output=True, text=True, check=True).stdout


def preload():
    """What LD_PRELOAD names: a library with AddressSanitizer wants its runtime loaded before all others."""
    libraries = subprocess.run(["ldd", SHIM], capture_output=True, text=True, check=True).stdout.split()
    return " ".join([*(w for w in libraries if "/libasan.so" in w), str(SHIM)])


def tries(tmp, cage):
    """{role: {what: errno}} of one series that is received, analysed and sent, to a destination that is away at first, the log,
    and what /proc says of the worker."""
    p, q, t = ports(3)
    data, trail, authority = tmp / "node" / "data", tmp / "audit.log", Authority(tmp / "ours")
    for name in ("node", "pacs"):
        authority.sign(name)
    trail.touch()
    extra = f"{TIMES}{authority.section(t)}audit:\n  file: {trail}\nalerts:\n  command: [/bin/true]\n"
    inside = {"LD_PRELOAD": preload(), "ESCAPE": str(data), "ESCAPE_KEY": str(authority.key("node")), "ESCAPE_TRAIL": str(trail)}
    with Site(tmp / "node", p, {"PACS": q}, node=f"cage: {cage}\nuser: root", extra=extra, plain=p, env=inside) as site:
        for name in ("drafts/other/draft", "series/00/other.dcm", "outbox/99/1/other.dcm", *(f"victim-{role}" for role in MAY)):
            (data / name).parent.mkdir(parents=True, exist_ok=True)
            (data / name).write_text("of somebody else")
        worker = site.worker()
        status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{worker}/status").read_text().splitlines() if ":\t" in line)
        status["oom"] = pathlib.Path(f"/proc/{worker}/oom_score_adj").read_text().strip()
        status["core"] = next(line for line in pathlib.Path(f"/proc/{worker}/limits").read_text().splitlines() if line.startswith("Max core"))
        subprocess.run(["echoscu", *authority.dcmtk("pacs"), "-aet", "PACS", "-aec", "ANODE", "127.0.0.1", str(t)], check=False, timeout=HANG_S)
        send(make_series(tmp / "in", 1), p)
        wait_for(lambda: all(f"escape {role} memory " in site.log_text() for role in MAY), HANG_S, "tries from inside all of them")
        with Sink(tmp / "pacs", q):
            site.wait_idle()
        text = site.log_text()
        check(site.jobs()[0]["state"] == "done", f"the job is {site.jobs()[0]}")
    found = {}
    for role, what, number in re.findall(r"^escape (\w+) (\w+) (-?\d+)$", text, re.M):
        tried = found.setdefault(role, {})  # by several of a role: what works for one works
        tried[what] = 0 if tried.get(what) == 0 else int(number)
    return found, text, status


def nothing_forbidden_works_from_inside(tmp):
    caged, text, status = tries(tmp / "caged", "auto")
    free, _, _ = tries(tmp / "free", "off")
    if "cage: landlock=" in text and "does not hold all" in text:
        skip("this kernel has no Landlock or no seccomp")
    check(set(caged) == set(free) == set(MAY), f"tried in {sorted(caged)} and {sorted(free)}")
    for role, results in caged.items():
        may = MAY[role] | (SANITIZED_MAY[role] if sanitized() else set())
        works = {what for what, number in results.items() if number not in (EPERM, EACCES, ENOMEM)}
        check(works <= may, f"works in a {role}: {sorted(works - may)} ({results})")
        # Whoever is not root has no right to the passwords anyway.
        could = {what for what, number in free[role].items() if number == 0} | (set() if os.getuid() == 0 else {"shadow"})
        check(could >= set(results), f"does not even work in a free {role}: {sorted(set(results) - could)} ({free[role]})")
    check(status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", f"a worker: {status}")
    check(all(int(status[f"Cap{kind}"], 16) == 0 for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")), f"capabilities of a worker: {status}")
    check(int(status["oom"]) > 0, f"oom_score_adj of a worker: {status['oom']}")
    check(re.search(r"size\s+[01]\s", status["core"]), f"core files of a worker: {status['core']}")


def a_node_of_root_becomes_its_user(tmp):
    """daemon is a user of every Debian machine, and owns nothing of ours."""
    if os.getuid() != 0:
        print("only root can become somebody else: not looked at", flush=True)
        return
    for folder in (tmp, tmp / "node", tmp / "mine"):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
    user = pwd.getpwnam("daemon")
    p, q = ports(2)
    with Site(tmp / "node", p, {"PACS": q}, node="user: daemon") as site:
        check(site.data.stat().st_uid == user.pw_uid, f"data_dir belongs to {site.data.stat().st_uid}")
        for pid in (site.pid, *site.children()):
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
            ids = {name: re.search(rf"^{name}:\t(.*)$", status, re.M)[1].split() for name in ("Uid", "Gid", "Groups", "CapEff", "CapPrm")}
            check(ids["Uid"] == [str(user.pw_uid)] * 4 and ids["Gid"] == [str(user.pw_gid)] * 4, f"user of {pid}: {ids}")
            check("0" not in ids["Groups"] and int(ids["CapEff"][0], 16) == int(ids["CapPrm"][0], 16) == 0, f"rights of {pid}: {ids}")
        send(make_series(tmp / "in", 1), p)
        kept = list((site.data / "series").rglob("*.dcm"))
        check(len(kept) == 8 and all(f.stat().st_uid == user.pw_uid for f in kept), f"received: {kept}")
    for node, data, said in (("user: daemon", tmp / "mine", "chown -R daemon: "),
                             ("user: nosuchuser\ncage: required", tmp / "absent", "no user nosuchuser")):
        if data.exists():
            (data / "file").touch()
        conf = tmp / "refused.yaml"
        conf.write_text(yaml(data, p, {"PACS": q}, node=node))
        done = subprocess.run([ANODE, "serve", "-c", conf], capture_output=True, text=True, timeout=HANG_S)
        check(done.returncode == 1 and said in done.stderr, f"{node}: {done.returncode} {done.stderr}")
        check(not (data / "state.db").exists(), f"{node}: made something in {data}")


TESTS = [nothing_forbidden_works_from_inside, a_node_of_root_becomes_its_user]


def main():
    need("dcmsend", "storescp", "echoscu", "openssl", SHIM)
    return run_tests("cage", TESTS)


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
"""DICOM by TLS: with DCMTK's storescu and storescp on the other side, and openssl s_client as a
stranger. Certificates are made here.
"""
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import sys
import time

from node import HANG_S, TIMES, Process, Sink, Site, make_series, need, ports, run_tests, uid, wait_for, yaml
from peers import ANODE


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def run(*command, **options):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=HANG_S, stdin=subprocess.DEVNULL, check=False, **options)


class Authority:
    """A certificate authority in a folder, and what it has signed: NAME.pem with NAME.key."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.key("ca"), "-out", self.pem("ca"),
                     "-days", 90, "-subj", f"/CN=CA {self.folder.name}")

    def openssl(self, *arguments):
        done = run("openssl", *arguments)
        check(done.returncode == 0, f"openssl {arguments[0]}: {done.stderr}")
        return done.stdout

    def pem(self, name):
        return self.folder / f"{name}.pem"

    def key(self, name):
        return self.folder / f"{name}.key"

    def sign(self, name, days=90, san="IP:127.0.0.1"):
        request = self.folder / f"{name}.csr"
        self.openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.key(name), "-out", request, "-subj", f"/CN={name}")
        extensions = self.folder / f"{name}.cnf"
        extensions.write_text(f"subjectAltName=DNS:{name},{san}\n")
        self.openssl("x509", "-req", "-in", request, "-CA", self.pem("ca"), "-CAkey", self.key("ca"), "-CAcreateserial", "-days", days,
                     "-extfile", extensions, "-out", self.pem(name))
        self.key(name).chmod(0o600)
        return self.pem(name)

    def revoke(self, *names):
        """The list of what is revoked, with these names in it, too."""
        index, conf, revoked = self.folder / "index.txt", self.folder / "ca.cnf", self.folder / "crl.pem"
        index.touch()
        conf.write_text(f"[ca]\ndefault_ca=it\n[it]\ndatabase={index}\ndefault_md=sha256\n")
        base = ["ca", "-config", conf, "-keyfile", self.key("ca"), "-cert", self.pem("ca")]
        for name in names:
            self.openssl(*base, "-revoke", self.pem(name))
        self.openssl(*base, "-gencrl", "-crldays", 1, "-out", revoked)
        return revoked

    def sha256(self, name):
        return self.openssl("x509", "-in", self.pem(name), "-noout", "-fingerprint", "-sha256").strip().split("=")[1]

    def section(self, port, name="node", **files):
        """tls: of a configuration."""
        given = {"port": port, "certificate": self.pem(name), "key": self.key(name), "ca": self.pem("ca"), **files}
        return "tls:\n" + "".join(f"  {key}: {value}\n" for key, value in given.items())

    def dcmtk(self, name, ca=None):
        return ["+tls", self.key(name), self.pem(name), "+cf", ca or self.pem("ca")]


class TlsSink(Sink):
    """storescp by TLS that wants a certificate."""

    def __init__(self, folder, port, authority, name):
        need("storescp")
        self.folder = pathlib.Path(folder)
        self.got = self.folder / "got"
        self.got.mkdir(parents=True, exist_ok=True)
        self.port = port
        Process.__init__(self, ["storescp", "-v", "-aet", "PACS", "-od", self.got, "+uf", *authority.dcmtk(name), port], self.folder / "storescp.log")
        self.wait_listening(port)


def store(authority, name, port, *files, calling="PACS", ca=None, program="storescu"):
    return run(program, "-v", *authority.dcmtk(name, ca), "-aet", calling, "-aec", "ANODE", "127.0.0.1", port, *files)


def s_client(authority, port, *options):
    return run("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", authority.pem("ca"), "-verify_return_error", *options)


def site(tmp, port, peers, authority, peer, plain=0, **files):
    return Site(tmp, port, peers, plain=plain, peer=peer, extra=TIMES + authority.section(port, **files))


def both_ways_by_tls(tmp):
    """Received and sent by TLS alone, each peer by its certificate; the plain port is off."""
    authority = Authority(tmp / "ours")
    for name in ("node", "pacs"):
        authority.sign(name)
    p, q = ports(2)
    with TlsSink(tmp / "pacs", q, authority, "pacs") as sink:
        with site(tmp / "node", p, {"PACS": q}, authority, f"tls: true\ncertificate: ['{authority.sha256('pacs')}']\naddress: [127.0.0.0/8]") as node:
            files = make_series(tmp / "in", 1)
            done = store(authority, "pacs", p, *files)
            check(done.returncode == 0, f"storescu: {done.stdout}{done.stderr}")
            node.wait_idle()
            check(node.rows("SELECT count(*) FROM instance")[0][0] == len(files), "not all was received")
            for f in files:
                check(node.has_file(uid(f)), f"{uid(f)} is not here")
            check(len(sink.files()) == 2, f"results at the peer: {sink.files()}")
            text = node.log_text()
            check('tls="TLSv1.3' in text and "subject=/CN_pacs" in text, f"no line of the handshake: {text}")
            check(not re.search(r"(gate|gatekeeper|association).*(Sanitizer|signal)", text), text)


def strangers_stay_outside(tmp):
    ours, other = Authority(tmp / "ours"), Authority(tmp / "other")
    for name in ("node", "pacs", "ct", "former"):
        ours.sign(name)
    other.sign("pacs")
    p, q, plain = ports(3)
    with site(tmp / "node", p, {"PACS": q}, ours, "tls: true\ncertificate: [PACS]", plain=plain, crl=ours.revoke("former")) as node:
        def refused(done, said):
            line = wait_for(lambda: [li for li in node.log_text().splitlines() if said in li], 30, f"'{said}' in the log ({node.tail(5)})")
            check(done.returncode != 0, f"{said}: {done.stdout}")
            return line

        good = ["-cert", ours.pem("pacs"), "-key", ours.key("pacs")]
        for version in ("-tls1_2", "-tls1_3"):
            done = s_client(ours, p, *good, version)
            check("Verify return code: 0 (ok)" in done.stdout, f"{version}: {done.stdout}{done.stderr}")
        old = s_client(ours, p, *good, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
        refused(old, "unsupported protocol")
        check("Cipher is (NONE)" in old.stdout, f"TLS 1.1: {old.stdout}")
        weak = s_client(ours, p, *good, "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256:@SECLEVEL=0")
        refused(weak, "no shared cipher")
        # With TLS 1.3 a client learns of it after its own handshake: DCMTK waits for that.
        refused(run("echoscu", "-v", "+tla", "+cf", ours.pem("ca"), "-aet", "PACS", "-aec", "ANODE", "127.0.0.1", p), "peer did not return a certificate")
        refused(store(other, "pacs", p, ca=ours.pem("ca"), program="echoscu"), "certificate of the peer is not good")
        refused(store(ours, "ct", p, program="echoscu"), "its certificate is none of peers[].certificate")
        refused(run("echoscu", "-aet", "PACS", "-aec", "ANODE", "127.0.0.1", p), "what it sends is no TLS")
        refused(run("echoscu", "-aet", "PACS", "-aec", "ANODE", "127.0.0.1", plain), "peers[].tls is true, and it came without")
        done = store(ours, "pacs", p, program="echoscu")
        check(done.returncode == 0, f"the right one: {done.stdout}{done.stderr}")
        refused(store(ours, "former", p, program="echoscu"), "certificate revoked")
        ours.revoke("pacs")
        os.kill(node.pid, signal.SIGHUP)
        wait_for(lambda: store(ours, "pacs", p, program="echoscu").returncode != 0, 30, f"a refusal by the new list ({node.tail(5)})")
        wait_for(lambda: node.log_text().count("certificate revoked") >= 2, 30, f"its reason ({node.tail(5)})")


def an_address_is_part_of_a_peer(tmp):
    p, q = ports(2)
    with Site(tmp / "node", p, {"PACS": q}, peer="address: [192.0.2.0/24, '2001:db8::/32']") as node:
        done = run("echoscu", "-aet", "PACS", "-aec", "ANODE", "127.0.0.1", p)
        check(done.returncode != 0 and "its address is none of peers[].address" in node.log_text(), node.log_text())


def results_go_to_the_right_one_only(tmp):
    """A destination that shows a good certificate of somebody else gets nothing; its own later does."""
    authority = Authority(tmp / "ours")
    for name in ("node", "pacs", "thief"):
        authority.sign(name)
    authority.sign("elsewhere", san="IP:192.0.2.1")
    p, q = ports(2)
    with site(tmp / "node", p, {"PACS": q}, authority, "tls: true\ncertificate: [pacs]") as node:
        with TlsSink(tmp / "thief", q, authority, "thief") as sink:
            check(store(authority, "pacs", p, *make_series(tmp / "in", 1)).returncode == 0, "not received")
            wait_for(lambda: "is not its own" in node.log_text(), 60, f"a refusal ({node.tail(5)})")
            check(not sink.files(), f"the wrong one has {sink.files()}")
        with TlsSink(tmp / "pacs", q, authority, "pacs") as sink:
            node.wait_idle()
            check(len(sink.files()) == 2, f"the right one has {sink.files()}")
    # Without peers[].certificate it is the name that counts.
    with site(tmp / "named", p, {"PACS": q}, authority, "tls: true") as node, TlsSink(tmp / "elsewhere", q, authority, "elsewhere") as sink:
        check(store(authority, "pacs", p, *make_series(tmp / "in2", 2)).returncode == 0, "not received")
        wait_for(lambda: "IP address mismatch" in node.log_text(), 60, f"a refusal ({node.tail(5)})")
        check(not sink.files(), f"the wrong one has {sink.files()}")


def serial(authority, port):
    done = s_client(authority, port, "-cert", authority.pem("pacs"), "-key", authority.key("pacs"), "-showcerts")
    pem = re.search(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", done.stdout, re.S)
    check(pem, f"no certificate: {done.stdout}{done.stderr}")
    return ssl.PEM_cert_to_DER_cert(pem[0])


def a_certificate_is_replaced_without_a_restart(tmp):
    """Nobody notices: an open association goes on. A key that does not fit changes nothing."""
    authority = Authority(tmp / "ours")
    for name in ("node", "pacs", "next"):
        authority.sign(name)
    p, q = ports(2)
    with site(tmp / "node", p, {"PACS": q}, authority, "tls: true") as node:
        before = serial(authority, p)
        context = ssl.create_default_context(cafile=authority.pem("ca"))
        context.load_cert_chain(authority.pem("pacs"), authority.key("pacs"))
        with socket.create_connection(("127.0.0.1", p)) as raw, context.wrap_socket(raw, server_hostname="127.0.0.1") as open_one:
            title = lambda t: t.ljust(16).encode()
            item = lambda kind, body: bytes([kind, 0]) + len(body).to_bytes(2, "big") + body
            context_item = item(0x20, b"\1\0\0\0" + item(0x30, b"1.2.840.10008.1.1") + item(0x40, b"1.2.840.10008.1.2"))
            body = b"\0\1\0\0" + title("ANODE") + title("PACS") + bytes(32) + item(0x10, b"1.2.840.10008.3.1.1.1") + context_item + item(0x50, item(0x51, (16384).to_bytes(4, "big")))
            open_one.sendall(b"\1\0" + len(body).to_bytes(4, "big") + body)
            check(open_one.recv(1) == b"\2", "not accepted")
            authority.pem("node").write_bytes(authority.pem("next").read_bytes())
            os.kill(node.pid, signal.SIGHUP)
            wait_for(lambda: "configuration not changed" in node.log_text(), 60, f"a refusal ({node.tail(5)})")
            check("tls.key: it is not the key of tls.certificate" in node.log_text(), node.tail(5))
            check(serial(authority, p) == before, "another certificate after a reload that failed")
            authority.key("node").write_bytes(authority.key("next").read_bytes())
            os.kill(node.pid, signal.SIGHUP)
            wait_for(lambda: "configuration loaded" in node.log_text(), 60, f"the new configuration ({node.tail(5)})")
            wait_for(lambda: serial(authority, p) != before, 60, "the new certificate")
            open_one.sendall(b"\5\0\0\0\0\4\0\0\0\0")  # A-RELEASE-RQ
            answer = b""
            while b"\6\0\0\0\0\4\0\0\0\0" not in answer:
                more = open_one.recv(4096)
                check(more, f"the open association ended with {answer!r}")
                answer += more


def mistakes_are_pointed_at(tmp):
    authority = Authority(tmp / "ours")
    for name in ("node", "pacs"):
        authority.sign(name)
    authority.sign("old", days=-1)
    authority.openssl("pkey", "-in", authority.key("node"), "-aes128", "-passout", "pass:x", "-out", authority.key("locked"))
    authority.key("locked").chmod(0o600)
    authority.key("none").write_bytes(authority.pem("node").read_bytes())
    authority.key("none").chmod(0o600)
    authority.key("open").write_bytes(authority.key("node").read_bytes())
    authority.key("open").chmod(0o644)
    p, q, r = ports(3)
    base = yaml(tmp / "data", p, {"PACS": q})
    wrong = (
        (authority.section(r, key=tmp / "absent.key"), "tls.key", "No such file"),
        (authority.section(r, key=authority.key("pacs")), "tls.key", "it is not the key of tls.certificate"),
        (authority.section(r, key=authority.key("open")), "tls.key", "everybody on this machine can read or change"),
        (authority.section(r, key=authority.key("locked")), "tls.key", "it is encrypted"),
        (authority.section(r, key=authority.key("none")), "tls.key", "holds no private key"),
        (authority.section(r, "old"), "tls.certificate", "it expired on 20"),
        (authority.section(r, ca=authority.key("ca")), "tls.ca", "holds no certificate"),
        (authority.section(r, crl=authority.pem("ca")), "tls.crl", "no list of revoked certificates"),
        (f"tls:\n  port: {r}\n  certificate: {authority.pem('node')}\n  ca: {authority.pem('ca')}\n", "tls.key", "is missing"),
        (authority.section(p), "tls.port", "is node.port"),
    )
    conf = tmp / "wrong.yaml"
    for section, key, said in wrong:
        conf.write_text(base + section)
        line = next((n for n, text in enumerate(conf.read_text().splitlines(), 1) if text.startswith(f"  {key.split('.')[1]}:") and n > len(base.splitlines())), None)
        done = run(ANODE, "check", "-c", conf)
        place = f"{conf}:{line}:" if line else f"{conf}:"
        check(done.returncode == 1 and any(said in li and key in li and li.startswith(place) for li in done.stderr.splitlines()), f"{key}, {said}: {done.stderr}")
    conf.write_text(base + authority.section(r))
    done = run(ANODE, "check", "-c", conf)
    check(f"by TLS on port {r}" in done.stdout, f"the right one: {done.stdout}{done.stderr}")


def secret(authority, name):
    """The private number of a key, as its file has it and as processors keep large numbers."""
    text = authority.openssl("pkey", "-in", authority.key(name), "-noout", "-text")
    number = bytes.fromhex(re.sub(r"[^0-9a-f]", "", re.search(r"priv:(.*?)pub:", text, re.S)[1]))[-32:]
    return number, number[::-1]


def memory_has(pid, wanted):
    found = False
    maps = pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines()
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            span, rights = line.split()[:2]
            if not rights.startswith("rw"):
                continue
            begin, end = (int(x, 16) for x in span.split("-"))
            if end - begin > 128 << 20:  # the shadow of AddressSanitizer
                continue
            try:
                memory.seek(begin)
                data = memory.read(end - begin)
            except (OSError, ValueError, OverflowError):
                continue
            found = found or any(w in data for w in wanted)
    return found


def the_key_stays_with_the_gates(tmp):
    """It is found in the gatekeeper and a gate, not in core, listener or association."""
    authority = Authority(tmp / "ours")
    for name in ("node", "pacs"):
        authority.sign(name)
    p, q = ports(2)
    with site(tmp / "node", p, {"PACS": q}, authority, "tls: true") as node:
        os.kill(node.pid, signal.SIGHUP)  # what a reload leaves behind counts, too
        wait_for(lambda: "configuration loaded" in node.log_text(), 60, "the configuration again")
        context = ssl.create_default_context(cafile=authority.pem("ca"))
        context.load_cert_chain(authority.pem("pacs"), authority.key("pacs"))
        with Process(["storescu", "-v", *authority.dcmtk("pacs"), "-aet", "PACS", "-aec", "ANODE", "--repeat", 100000, "127.0.0.1", p, make_series(tmp / "in", 1)[0]], tmp / "send.log"):
            # The log names the process of each line: "... association[123] ..."
            association = wait_for(lambda: any("association=accepted" in li for li in node.log_text().splitlines()), 60, f"an association ({node.tail(3)})")
            check(association, "none")
            wanted = secret(authority, "node")
            roles = {}
            for pid in (node.pid, *node.children()):
                try:
                    roles[pid] = memory_has(pid, wanted)
                except PermissionError:
                    print("the memory of other processes cannot be read: not looked at", flush=True)
                    return
                except (FileNotFoundError, ProcessLookupError):
                    continue
            have = [pid for pid, has in roles.items() if has]
            parents = {pid: int(pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1]) for pid in roles if pathlib.Path(f"/proc/{pid}").exists()}
            keepers = [pid for pid in have if parents.get(pid) == node.pid]
            check(not roles[node.pid] and len(keepers) == 1, f"the key is in {have}, core {node.pid}, parents {parents}")
            check(len(have) >= 2 and all(pid == keepers[0] or parents[pid] == keepers[0] for pid in have), f"the key is in {have}, parents {parents}")
            check(any(parents[pid] not in (node.pid, keepers[0]) for pid in parents if pid != node.pid), f"no association was looked at: {parents}")


def silence_locks_nobody_out(tmp):
    """Sockets that say nothing, and as many handshakes that never end as there is room for: a peer gets in."""
    authority = Authority(tmp / "ours")
    for name in ("node", "pacs"):
        authority.sign(name)
    p, q = ports(2)
    with site(tmp / "node", p, {"PACS": q}, authority, "tls: true") as node:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        begun = ssl.MemoryBIO()
        try:
            context.wrap_bio(ssl.MemoryBIO(), begun).do_handshake()
        except ssl.SSLWantReadError:
            hello = begun.read()
        held = []
        try:
            for n in range(300):
                held.append(socket.create_connection(("127.0.0.1", p)))
                if n % 3 == 0:
                    held[-1].sendall(hello)
            start = time.monotonic()
            done = store(authority, "pacs", p, program="echoscu")
            check(done.returncode == 0, f"{done.stdout}{done.stderr}")
            print(f"served after {time.monotonic() - start:.2f} s beside {len(held)} silent ones", flush=True)
            wait_for(lambda: len(node.children()) <= 64 + 16, 30, "the end of those who never finish")
        finally:
            for one in held:
                one.close()


CASES = (both_ways_by_tls, strangers_stay_outside, an_address_is_part_of_a_peer, results_go_to_the_right_one_only, a_certificate_is_replaced_without_a_restart,
         mistakes_are_pointed_at, the_key_stays_with_the_gates, silence_locks_nobody_out)


def main():
    need("openssl", "storescu", "storescp", "echoscu")
    return run_tests("tls", CASES)


if __name__ == "__main__":
    sys.exit(main())

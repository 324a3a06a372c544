#!/usr/bin/python3
"""What the documentation says is what is there: manual, unit file, README, conformance statement."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
ANODE = pathlib.Path(os.environ.get("ANODE", ROOT / "build" / "anode"))
complaints = []


def check(holds, complaint):
    if not holds:
        complaints.append(complaint)


def read(name):
    return (ROOT / name).read_text()


def manual_formats_without_a_warning():
    groff = shutil.which("groff")
    if groff:
        done = subprocess.run([groff, "-mandoc", "-ww", "-Tutf8", "-z", ROOT / "doc/anode.8"], capture_output=True, text=True, check=False)
        check(done.returncode == 0 and not done.stderr, f"doc/anode.8: {done.stderr}")
    mandoc = shutil.which("mandoc")
    if mandoc:
        done = subprocess.run([mandoc, "-Tlint", "-Wwarning", ROOT / "doc/anode.8"], capture_output=True, text=True, check=False)
        check(done.returncode == 0, f"doc/anode.8: {done.stdout}")


def unit_file_is_valid():
    analyze = shutil.which("systemd-analyze")
    if not analyze:
        return
    with tempfile.TemporaryDirectory() as folder:
        unit = pathlib.Path(folder) / "anode.service"
        unit.write_text(read("conf/site/anode.service.in").replace("@ANODE_BINDIR@/anode", "/bin/true"))
        done = subprocess.run([analyze, "verify", "--man=no", unit], capture_output=True, text=True, check=False)
        about_us = [line for line in done.stderr.splitlines() if "anode.service" in line]
        check(done.returncode == 0 and not about_us, f"conf/site/anode.service.in: {done.stderr}")


def commands_are_documented():
    usage = subprocess.run([ANODE, "--help"], capture_output=True, text=True, check=True).stdout
    commands = re.findall(r"^  anode (\w+)", usage, re.M)
    check(len(commands) >= 8, f"no commands in the usage: {usage}")
    for command in commands:
        check(re.search(rf"^anode {command} ", read("README.md"), re.M), f"README.md: no command {command}")
        check(f".It Cm {command}\n" in read("doc/anode.8"), f"doc/anode.8: no command {command}")
    for path in sorted((ROOT / "doc").glob("*.md")):
        for command in re.findall(r"(?:`|/)anode ([a-z]+)\b", path.read_text()):
            check(command in commands, f"doc/{path.name}: there is no command {command}")


def analyses_are_documented():
    stages = subprocess.run([ANODE, "stages"], capture_output=True, text=True, check=True).stdout
    names = re.findall(r"^(\w+): ", stages, re.M)
    check(names, "anode stages lists nothing")
    for name in names:
        check(f"| `{name}` |" in read("README.md"), f"README.md: no analysis {name}")
        check(f"`{name}`" in read("doc/conformance.md"), f"doc/conformance.md: no analysis {name}")


def transfer_syntaxes_are_documented():
    """Each syntax of the table in dimse/read/syntax.cc is in the conformance statement, and no other."""
    import pydicom.uid
    by_keyword = {u.keyword: str(u) for u in map(pydicom.uid.UID, pydicom.uid.UID_dictionary)}
    names = {
        "LittleEndianExplicit": "ExplicitVRLittleEndian", "LittleEndianImplicit": "ImplicitVRLittleEndian",
        "BigEndianExplicit": "ExplicitVRBigEndian", "DeflatedExplicitVRLittleEndian": "DeflatedExplicitVRLittleEndian",
        "JPEGLSLossless": "JPEGLSLossless", "JPEGLSLossy": "JPEGLSNearLossless", "JPEG2000LosslessOnly": "JPEG2000Lossless",
        "JPEG2000": "JPEG2000", "JPEGProcess1": "JPEGBaseline8Bit", "JPEGProcess2_4": "JPEGExtended12Bit",
        "JPEGProcess14": "JPEGLossless", "JPEGProcess14SV1": "JPEGLosslessSV1", "RLELossless": "RLELossless",
    }
    source = read("dimse/read/syntax.cc")
    own = dict(re.findall(r'#define UID_(\w+)TransferSyntax\s+"([\d.]+)"', source))  # newer than DCMTK and pydicom
    found = re.findall(r"\{UID_(\w+)TransferSyntax,", source)
    check(found and set(found) <= set(names) | set(own), f"unknown transfer syntaxes: {set(found) - set(names) - set(own)}")
    wanted = {own.get(f) or by_keyword[names[f]] for f in found if f in names or f in own}
    section = read("doc/conformance.md").split("#### 3.1.2")[1].split("#### 3.1.3")[0]
    listed = set(re.findall(r"\| (1\.2\.840\.10008\.1\.2[0-9.]*) \|", section))
    check(listed == wanted, f"doc/conformance.md: transfer syntaxes differ: {listed ^ wanted}")


def links_lead_somewhere():
    for name in ("README.md", "CONTRIBUTING.md", *(f"doc/{p.name}" for p in sorted((ROOT / "doc").glob("*.md")))):
        for target in re.findall(r"\]\(([^)#]+)\)", read(name)):
            if "://" not in target:
                check((ROOT / name).parent.joinpath(target).exists(), f"{name}: {target} does not exist")


def main():
    manual_formats_without_a_warning()
    unit_file_is_valid()
    transfer_syntaxes_are_documented()
    links_lead_somewhere()
    if not ANODE.exists():
        print("\n".join(complaints) or f"{ANODE} is not built")
        return 1 if complaints else 77
    commands_are_documented()
    analyses_are_documented()
    print("\n".join(complaints) or "the documentation agrees with the program")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())

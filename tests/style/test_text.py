#!/usr/bin/python3
"""The text of the project speaks of the software only: it names no folder of the machine where it was
written, and no host from which packages come."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FOLDERS = (".ci", "base", "compute", "conf", "dimse", "doc", "node", "shaders", "tests")
FOREIGN = re.compile(
    r"(?<![\w.>}])/(?:work|workspaces?|home|root|Users|mnt|scratch)/\w+"  # folders of somebody
    r"|\b(?:registry|deb|ftp|security|pypi|files|proxy|index|crates)\.(?:npmjs|debian|pypi|pythonhosted|golang)\.\w+"
    r"|\b(?:pypi|crates)\.(?:org|io)\b")


def complaints(name, text):
    return [f"{name}:{number}: {found[0]}" for number, line in enumerate(text.splitlines(), 1) if (found := FOREIGN.search(line))]


def main():
    files = [p for p in ROOT.iterdir() if p.is_file() and p.name != ".git"]
    files += [p for folder in FOLDERS for p in (ROOT / folder).rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    found, read = [], 0
    for path in sorted(files):
        try:
            text = path.read_text()
        except UnicodeDecodeError:  # no text
            continue
        read += 1
        found += complaints(path.relative_to(ROOT), text)
    print("\n".join(found) or f"{read} files speak of the software only")
    # The check must be able to fail.
    for text in ("# see /" + "work/main", "in '/" + "home/me/x'", "https://pypi." + "org/simple", "http://deb." + "debian.org/x"):
        assert complaints("x", text), text
    assert not complaints("x", "/usr/local/bin, /var/lib/anode, a/root/b, https://dicom.nema.org/home/")
    return 1 if found or not read else 0


if __name__ == "__main__":
    sys.exit(main())

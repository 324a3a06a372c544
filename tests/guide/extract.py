#!/usr/bin/python3
"""Takes the files out of doc/adding-an-analysis.md and writes them into a checkout.

usage: extract.py CHECKOUT

A file is a block of code below a line that is its path in bold; an edit a block of lines that begin with
' ' (they are there) or '+' (they come in), below a line "**In `PATH`:**".
"""
import pathlib
import re
import sys

GUIDE = pathlib.Path(__file__).resolve().parent.parent.parent / "doc" / "adding-an-analysis.md"
FILE = re.compile(r"^\*\*`([^`\n]+)`\*\*\n\n```(\w+)\n(.*?)^```$", re.M | re.S)
EDIT = re.compile(r"^\*\*In `([^`\n]+)`:\*\*\n\n```diff\n(.*?)^```$", re.M | re.S)


def files(text):
    """{path: content}"""
    return {path: content for path, _, content in FILE.findall(text)}


def edits(text):
    """[(path, lines that are there, lines as they shall be)]"""
    found = []
    for path, block in EDIT.findall(text):
        lines = block.splitlines(keepends=True)
        if not all(line[0] in " +" for line in lines):
            raise ValueError(f"an edit of {path} has lines that begin neither with a blank nor with +")
        found.append((path, "".join(line[1:] for line in lines if line[0] == " "), "".join(line[1:] for line in lines)))
    return found


def write(text, checkout):
    """Writes files and edits into a checkout; what is done already stays as it is. Returns the paths."""
    checkout = pathlib.Path(checkout)
    for path, content in files(text).items():
        (checkout / path).parent.mkdir(parents=True, exist_ok=True)
        (checkout / path).write_text(content)
    for path, before, after in edits(text):
        there = (checkout / path).read_text()
        if after in there:
            continue
        if f"\n{there}".count(f"\n{before}") != 1:
            raise ValueError(f"{path} does not have exactly once:\n{before}")
        (checkout / path).write_text(f"\n{there}".replace(f"\n{before}", f"\n{after}")[1:])
    return sorted({*files(text), *(path for path, _, _ in edits(text))})


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print("\n".join(write(GUIDE.read_text(), sys.argv[1])))

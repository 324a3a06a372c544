#!/usr/bin/python3
"""Static functions can be told apart in a debugger: no two files of a library define one of the same
name."""
import collections
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LIBRARIES = ("base", "conf", "compute", "dimse", "node")
# A definition begins at the first column; its name stands before the first parenthesis.
DEFINITION = re.compile(r"^static (?:[\w:<>,]+[ *&\n]+)+?\**&?(\w+)\(", re.M)
# Shared since before this rule; none may be added, and who touches one gives it a name of its own.
ALLOWED = {
    "add_job", "add_text", "allocate", "box", "by_value", "check_factor", "choose", "find", "finished", "measure", "prepare",
    "put_text", "take", "take_job", "walk",
}


def defined(text):
    """Names of static functions that text defines; declarations count too, they name the same."""
    return {m[1] for m in DEFINITION.finditer(text) if not m[1].startswith("__")}


def shared_names(sources):
    """sources: {path: text}. Complaints, a line a name."""
    homes = collections.defaultdict(set)
    for path, text in sources.items():
        for name in defined(text):
            homes[(path.split("/")[0], name)].add(path)
    return [f"{name}: {', '.join(sorted(paths))}" for (_, name), paths in sorted(homes.items()) if len(paths) > 1 and name not in ALLOWED]


def main():
    files = [p for folder in LIBRARIES for p in sorted((ROOT / folder).rglob("*")) if p.suffix in (".c", ".cc")]
    found = shared_names({str(p.relative_to(ROOT)): p.read_text() for p in files})
    print("\n".join(found) or f"{len(files)} files name their static functions apart")
    # The check must be able to fail.
    one, two = "static bool seek(int a)\n{\n}\n", "static const char *\nseek(void)\n{\n}\nstatic int mine(void);\n"
    assert defined(two) == {"seek", "mine"}, defined(two)
    assert defined("static const int table[] = {1};\nstatic std::string text(int a)\n{\n") == {"text"}
    assert shared_names({"base/a.c": one, "base/b.c": two}) == ["seek: base/a.c, base/b.c"]
    assert not shared_names({"base/a.c": one, "conf/b.c": two})
    return 1 if found or not files else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
"""What a header offers is used: every function that a header of the program declares has a caller in
the program. A test is no caller; a function that only tests call is dead weight that looks alive."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LIBRARIES = ("base", "conf", "compute", "dimse", "node")
# A declaration begins at the first column; its name stands before the first parenthesis.
DECLARATION = re.compile(r"^(?!static\b|typedef\b|return\b|using\b|else\b)(?:[\w:<>,]+[ *&\n]+)+\**&?(\w+)\([^;{}]*\)[^;{}()]*(?:\([^;{}]*\)\)?)*;", re.M)
DEFINITION = re.compile(r"^(?:[\w:<>,]+[ *&\n]+)+\**&?(\w+)\([^;{}]*\)\s*\{", re.M)
# What nobody calls yet or ever, and why it stays.
ALLOWED = {
    "findings_add_fractions": "for stages: segmentation with probabilities",
    "gpu_mask_shrink": "for stages: the way down of gpu_mask_expand()",
    "gpu_used_bytes": "what tests see of memory that is left behind",
    "gpu_validation_messages": "what tests see of the validation layer",
    "gpu_volume_mip": "for stages: projections",
    "net_scores": "for stages: networks of which several are added",
    "scu_echo": "the smallest thing to ask of a peer: tests of associations do",
    "slots_check": "a test asks it of every stage there is",
    "stage_stack": "for stages: several series as one image",
}


def plain(text):
    """Without comments and texts."""
    text = re.sub(r"//[^\n]*|/\*.*?\*/", " ", text, flags=re.S)
    return re.sub(r'"(?:\\.|[^"\\\n])*"', '""', text)


def uncalled(sources):
    """sources: {path: text}. {name: header} of declared functions that no code names but its own definition."""
    sources = {path: plain(text) for path, text in sources.items()}
    declared, named = {}, {}
    for path, text in sources.items():
        if path.endswith((".h", ".hh")):
            declared.update((m[1], path) for m in DECLARATION.finditer(text))
            text = DECLARATION.sub(";", text)  # inline functions call, declarations do not
        for name in re.findall(r"\b\w+\b", DEFINITION.sub("{", text)):
            named[name] = True
    return {name: path for name, path in declared.items() if name not in named}


def main():
    files = [p for folder in LIBRARIES for p in sorted((ROOT / folder).rglob("*")) if p.suffix in (".c", ".cc", ".h", ".hh")]
    sources = {str(p.relative_to(ROOT)): p.read_text() for p in files}
    found = uncalled(sources)
    bad = [f"{path}: nobody calls {name}()" for name, path in sorted(found.items()) if name not in ALLOWED]
    print("\n".join(bad) or f"{len(files)} files, {len(found)} functions without a caller are known")
    for name in sorted(ALLOWED.keys() - found.keys()):
        print(f"{name}() has a caller, or is gone: it need not be listed here")
    # The check must be able to fail.
    header = "bool used(int a);\n// old() is gone\nvoid old(void);\nint log_it(const char *format, ...)\n    __attribute__((format(printf, 1, 2)));\nstruct x *made(int a,\n               int b);\n"
    code = '#include "a.h"\nvoid old(void)\n{\n    puts("old()");\n}\nbool used(int a)\n{\n    return log_it("x");\n}\nstatic int own(void)\n{\n    return used(1);\n}\n'
    assert set(uncalled({"a.h": header, "a.c": code})) == {"old", "made"}, uncalled({"a.h": header, "a.c": code})
    assert set(uncalled({"a.h": header, "a.c": code, "b.c": "int b(void)\n{\n    return old() + made(1, 2);\n}\n"})) == set()
    return 1 if bad or not files else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
"""Arrows between folders point one way: who may include whom, and whose header needs whose."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

# Folder -> folders of ours that it may include. The longest prefix of a path decides.
MAY = {
    "node/base": {"node/base"},
    "conf": {"conf", "node/base"},
    "compute": {"compute", "node/base", "shaders"},
    "shaders": {"shaders"},
    "dimse": {"dimse", "node/base"},
    "node": {"node", "node/base", "conf", "compute", "dimse", "shaders"},
}
MAY_ALSO = {"dimse": {"compute/volume.h", "compute/findings.h", "compute/stage.h"}}
FORBIDDEN = {  # libraries that belong to one folder
    "vulkan/": {"compute"}, "dcmtk/": {"dimse"}, "yaml.h": {"conf"}, "sqlite3.h": {"node"},
}


def folder_of(path):
    return next((f for f in sorted(MAY, key=len, reverse=True) if path.startswith(f + "/")), None)


def complaints(path, text):
    home = folder_of(path)
    for number, line in enumerate(text.splitlines(), 1):
        found = re.match(r'\s*#\s*include\s*([<"])([^>"]+)', line)
        if not found:
            continue
        system, name = found[1] == "<", found[2]
        if system:
            wrong = any(name.startswith(lib) and home not in homes for lib, homes in FORBIDDEN.items())
        else:
            target = folder_of(name)
            wrong = target not in MAY[home] and name not in MAY_ALSO.get(home, ())
            if target is None:  # made by the build, or beside the file
                wrong = not ((ROOT / path).parent / name).exists() and "/" in name
        if wrong:
            yield f"{path}:{number}: {home} may not include {name}"


def main():
    files = [p for f in ("node", "conf", "compute", "dimse", "shaders") for p in sorted((ROOT / f).rglob("*")) if p.suffix in (".c", ".h", ".cc", ".hh")]
    found = [c for p in files for c in complaints(str(p.relative_to(ROOT)), p.read_text())]
    print("\n".join(found) or f"{len(files)} files keep to the table")
    # The check must be able to fail.
    assert list(complaints("compute/volume.c", '#include "dimse/object.h"\n'))
    assert list(complaints("dimse/scp.cc", "#include <vulkan/vulkan.h>\n"))
    return 1 if found or not files else 0


if __name__ == "__main__":
    sys.exit(main())

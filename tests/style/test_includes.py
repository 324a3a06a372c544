#!/usr/bin/python3
"""Arrows between folders point one way: who may include whom, and whose header needs whose."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def read_table():
    """The README's table: folder -> folders and headers of ours that it may include."""
    rows = re.findall(r"^\| `([a-z/]+)` \| [^|]* \| ([^|]*) \|$", (ROOT / "README.md").read_text(), re.M)
    return {folder: set(re.findall(r"`([a-z./]+)`", may)) for folder, may in rows if folder != "tests"}


# The longest prefix of a path decides.
MAY = read_table()
FORBIDDEN = {  # libraries that belong to one folder
    "vulkan/": {"compute/gpu"}, "dcmtk/": {"dimse"}, "yaml.h": {"conf"}, "pcre2.h": {"conf"}, "sqlite3.h": {"node/core"},
    "cairo": {"compute/draw", "node/job"}, "openjpeg": {"dimse"}, "jansson.h": {"node", "compute/net"},
}


def folder_of(path):
    return next((f for f in sorted(MAY, key=len, reverse=True) if path.startswith(f + "/")), None)


def within(folder, other):
    return folder == other or folder.startswith(other + "/")


def complaints(path, text):
    home = folder_of(path)
    for number, line in enumerate(text.splitlines(), 1):
        found = re.match(r'\s*#\s*include\s*([<"])([^>"]+)', line)
        if not found:
            continue
        name = found[2]
        library = next((homes for lib, homes in FORBIDDEN.items() if name.startswith(lib)), None)
        target = folder_of(name)
        if library or found[1] == "<":
            wrong = bool(library) and not any(within(home, homes) for homes in library)
        elif target is None:  # made by the build, or beside the file
            wrong = not ((ROOT / path).parent / name).exists() and "/" in name
        else:
            wrong = name not in MAY[home] and not any(within(target, may) for may in MAY[home])
        if wrong:
            yield f"{path}:{number}: {home} may not include {name}"


def main():
    files = [p for f in ("base", "node", "conf", "compute", "dimse", "shaders") for p in sorted((ROOT / f).rglob("*")) if p.suffix in (".c", ".h", ".cc", ".hh")]
    found = [c for p in files for c in complaints(str(p.relative_to(ROOT)), p.read_text())]
    print("\n".join(found) or f"{len(files)} files keep to the table")
    # The check must be able to fail.
    assert {"base", "conf", "compute/gpu", "shaders", "dimse/read", "node/core"} <= set(MAY), MAY
    assert list(complaints("compute/image/volume.c", '#include "dimse/read/object.h"\n'))
    assert list(complaints("dimse/net/scp.cc", "#include <vulkan/vulkan.h>\n"))
    assert list(complaints("node/core/core.c", '#include "dcmtk/dcmdata/dctk.h"\n'))
    assert list(complaints("dimse/net/scp.cc", '#include "compute/gpu/gpu.h"\n'))
    assert list(complaints("compute/gpu/gpu.c", '#include "compute/kernels/kernels.h"\n'))
    assert list(complaints("node/proc/worker.c", '#include "node/core/state.h"\n'))
    assert list(complaints("base/log.c", '#include "conf/conf.h"\n'))
    assert not list(complaints("dimse/write/sr.cc", '#include "compute/findings/findings.h"\n'))
    return 1 if found or not files else 0


if __name__ == "__main__":
    sys.exit(main())

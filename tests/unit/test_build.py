#!/usr/bin/python3
"""What is built, linked and installed: the program alone needs neither tests nor CUnit, no library is
named that nobody calls, and the installed unit starts the installed program.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build"))
ANODE = pathlib.Path(os.environ.get("ANODE", BUILD / "anode"))


def check(holds, what):
    if not holds:
        raise AssertionError(what)


def run(*words, env=None):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, check=False, timeout=1200, env=dict(os.environ, **(env or {})))
    check(done.returncode == 0, f"{words}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def the_program_is_built_without_tests(_):
    inputs = run("ninja", "-C", BUILD, "-t", "inputs", "anode").replace(f"{ROOT}/", "").splitlines()
    check(any("node/cmd/main.c" in line for line in inputs), f"inputs of the program: {inputs[:5]}")
    tests = [line for line in inputs if "tests/" in line and not line.endswith("tests/sanitize.c") and "sanitize" not in line]
    check(not tests, f"the program needs {tests}")
    check("compile release build anode" in re.search(r"^run_build\(\) \{.*?^\}", (ROOT / "run").read_text(), re.M | re.S)[0], "./run build builds more")
    packages = re.search(r"^build_packages=\((.*?)\)", (ROOT / "run").read_text(), re.M | re.S)[1].split()
    check("libdcmtk-dev" in packages and not any("cunit" in p for p in packages), packages)


def it_is_configured_and_installed_without_cunit(tmp):
    hidden = tmp / "pkgconfig"
    hidden.mkdir()
    for folder in run("pkg-config", "--variable", "pc_path", "pkg-config").strip().split(":"):
        for file in pathlib.Path(folder).glob("*.pc") if pathlib.Path(folder).is_dir() else ():
            if not file.name.startswith("cunit") and not (hidden / file.name).exists():
                (hidden / file.name).symlink_to(file)
    said = run("cmake", "-G", "Ninja", "-S", ROOT, "-B", tmp / "build", "-DCMAKE_INSTALL_PREFIX=/opt/first", env={"PKG_CONFIG_LIBDIR": str(hidden), "PKG_CONFIG_PATH": ""})
    check("CUnit is not installed" in said, said)
    targets = run("ninja", "-C", tmp / "build", "-t", "targets", "all")
    check("anode: CXX_EXECUTABLE_LINKER" in targets and "unit_" not in targets, targets[-2000:])
    shutil.copy2(ANODE, tmp / "build" / "anode")
    for prefix in ("/opt/first", "/opt/second"):  # the second one only when it is installed
        stage = tmp / prefix.rsplit("/", 1)[1]
        run("cmake", "--install", tmp / "build", *(["--prefix", prefix] if prefix == "/opt/second" else []), env={"DESTDIR": str(stage)})
        unit = (stage / prefix[1:] / "lib/systemd/system/anode.service").read_text()
        check(f"\nExecStart={prefix}/bin/anode serve -c /etc/anode/anode.yaml\n" in unit and "@ANODE" not in unit, unit)
        for name in ("bin/anode", "share/man/man8/anode.8", "share/doc/anode/json.md", "share/doc/anode/examples/anode.yaml"):
            check((stage / prefix[1:] / name).exists(), f"{name} is not installed")


def libraries_that_are_named_are_used(_):
    needed = re.findall(r"\(NEEDED\).*\[lib(\w[\w+-]*)\.so", run("readelf", "-d", ANODE).replace("-0.so", ".so").replace("yaml-0", "yaml"))
    lists = (ROOT / "CMakeLists.txt").read_text()
    dcmtk = re.search(r"target_link_libraries\(anode_dimse PUBLIC (.*?)\)", lists, re.S)[1].split()
    named = [n for n in dcmtk if not n.startswith("anode_") and "::" not in n]
    check("dcmdata" in named, named)
    unused = [n for n in named if n not in needed]
    for modules in re.findall(r"pkg_check_modules\(\w+ REQUIRED IMPORTED_TARGET ([^)]*)\)", lists):
        for module in modules.split():
            libraries = [re.sub(r"-0$", "", n[2:]) for n in run("pkg-config", "--libs-only-l", module).split()]
            if not set(libraries) & set(needed):
                unused.append(module)
    check(not unused, f"linked, yet nobody calls {unused}; the program needs {needed}")


TESTS = [the_program_is_built_without_tests, it_is_configured_and_installed_without_cunit, libraries_that_are_named_are_used]


def main():
    if not ANODE.exists() or not (BUILD / "build.ninja").exists():
        print(f"{ANODE} is not built")
        return 77
    bad = 0
    for test in TESTS:
        with tempfile.TemporaryDirectory(prefix="anode-build-") as tmp:
            try:
                test(pathlib.Path(tmp))
            except Exception as trouble:  # the others run all the same
                bad += 1
                print(f"FAILED {test.__name__}: {trouble}")
    print(f"{len(TESTS) - bad} of {len(TESTS)} passed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

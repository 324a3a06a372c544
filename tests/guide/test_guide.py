#!/usr/bin/python3
"""The code of doc/adding-an-analysis.md: its files and edits fit this source tree, compile without a
warning, keep to the style, and its own test passes.

The tree is copied, and of the copy only what the guide adds or changes is compiled; the rest is linked
from the build at hand.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import extract

ROOT = extract.GUIDE.parent.parent
BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build"))
HANG_S = 1200
NEEDED = ("base", "compute", "conf", "dimse", "doc", "node", "shaders", "tests")


def run(*words, folder, **environment):
    done = subprocess.run([str(w) for w in words], cwd=folder, env=dict(os.environ, **environment), capture_output=True, text=True, timeout=HANG_S, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, words))[:300]}: {done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout


def copy_tree(to):
    for name in NEEDED:
        shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    for path in ROOT.iterdir():
        if path.is_file() and path.name != ".git":
            shutil.copy2(path, to)


def compile_sources(tree, sources):
    """Object files of sources, and of the shaders of folders that are among them."""
    build = tree / "build"
    # Compilers and kind of build are those of the build at hand.
    cache = (BUILD / "CMakeCache.txt").read_text()
    options = [f"-D{m[1]}={m[2]}" for m in re.finditer(r"^(CMAKE_(?:BUILD_TYPE|C(?:XX)?_COMPILER(?:_LAUNCHER)?)):\w+=(.+)$", cache, re.M)]
    run("cmake", "-G", "Ninja", "-S", tree, "-B", build, "-DANODE_TESTS=OFF", *options, folder=tree)
    objects = []
    for source in sources:
        if source.endswith(".comp"):
            folder = pathlib.PurePath(source).relative_to("shaders").parent
            objects.append(f"shaders/CMakeFiles/anode_shaders.dir/{folder}/shaders.c.o")
        else:
            objects.append(f"CMakeFiles/anode_compute.dir/{source}.o")
    run("ninja", "-C", build, *objects, folder=tree)
    return [build / o for o in objects]


def link(objects, program):
    """The program of the build at hand, with objects that stand in for those of its libraries."""
    command = run("ninja", "-C", BUILD, "-t", "commands", "anode", folder=BUILD).splitlines()[-1]
    command, count = re.subn(r" -o anode ", f" {' '.join(map(str, objects))} -o {program} ", command)
    if count != 1:
        raise AssertionError(f"no command that links the program: {command}")
    run("sh", "-c", command, folder=BUILD)


class Guide(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory(prefix="anode-guide-")
        cls.addClassCleanup(scratch.cleanup)
        cls.tree = pathlib.Path(scratch.name) / "anode"
        cls.tree.mkdir()
        copy_tree(cls.tree)
        cls.paths = extract.write(extract.GUIDE.read_text(), cls.tree)
        cls.program = cls.tree / "anode"
        link(compile_sources(cls.tree, [p for p in cls.paths if p.endswith((".c", ".comp"))]), cls.program)

    def test_its_own_test_passes(self):
        done = run("/usr/bin/python3", "tests/golden/test_fat.py", folder=self.tree, ANODE=str(self.program))
        print(done)

    def test_its_cases_for_sanitizers_are_cases(self):
        said = re.search(r"Sanitized: (.*)", (self.tree / "tests/golden/test_fat.py").read_text())[1].split()
        for case in said:
            self.assertRegex(case, r"^Fat\.test_\w+$")
            self.assertIn(f"def {case[4:]}(self)", (self.tree / "tests/golden/test_fat.py").read_text())

    def test_its_numbers_are_those_that_come(self):
        self.assertIn("fat", run(self.program, "stages", folder=self.tree))
        run("/usr/bin/python3", "tests/phantom/fat.py", "series", folder=self.tree)
        run(self.program, "analyze", "-s", "fat", "-o", "out", "series", folder=self.tree)
        report, truth = (self.tree / "out/report.json").read_text(), (self.tree / "series/truth.json").read_text()
        said = re.search(r"the numbers: (\d+) mL, where\s+`\S+`\s+says\s+(\d+)", extract.GUIDE.read_text())
        self.assertIn(f'"value": {said[1]}.0', report)
        self.assertEqual(round(float(re.search(r'"fat_ml": ([\d.]+)', truth)[1])), int(said[2]))

    def test_it_keeps_to_style_and_documents(self):
        for name in ("style/test_includes.py", "style/test_names.py", "style/test_text.py", "style/test_format.py", "unit/test_docs.py"):
            done = subprocess.run(["/usr/bin/python3", self.tree / "tests" / name], cwd=self.tree, env=dict(os.environ, ANODE=str(self.program)),
                                  capture_output=True, text=True, timeout=HANG_S, check=False)
            self.assertIn(done.returncode, (0, 77), f"{name}: {done.stdout[-4000:]}{done.stderr[-4000:]}")

    def test_an_edit_that_does_not_fit_is_an_error(self):
        text = "**In `README.md`:**\n\n```diff\n a line that nobody wrote\n+another\n```\n"
        with self.assertRaises(ValueError):
            extract.write(text, self.tree)


if __name__ == "__main__":
    if not (BUILD / "build.ninja").exists():
        print(f"skipped: {BUILD} is no build of Ninja")
        sys.exit(77)
    unittest.main()

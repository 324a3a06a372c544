#!/usr/bin/python3
"""Measures the accuracy of an analysis on phantoms with fresh seeds, and on real series.

usage: evaluate STAGE [--seeds N] [--seed SEED]... [--case TEXT] [DIR...]
  --seeds N     so many fresh seeds (1); what was drawn is printed, to be repeated by --seed
  --seed SEED   this seed instead; may be repeated
  --case TEXT   only phantoms whose name contains TEXT
  DIR           a folder of DICOM files; where it or a folder below has a truth.json, each of those; seeds are then
                of what is made from it, and phantoms are measured only if --seeds says how many

Prints a table of truth, measured value, error and verdict, and sums it up. Exit status 0 whatever was
measured: this is no test. 2: the program itself broke.

A stage is a module tests/evaluate/<stage>.py with
  GENERATOR            the program tests/phantom/<GENERATOR>.py that makes its phantoms, with truth.json
  cases(seed)          [(name, arguments of the generator, what is expected)] of one seed
  rows(truth, expected, result)
                       [Row] (row.py) of one series; truth: its truth.json or None; expected: as in cases(), None
                       for a folder; result: tests/results.py
and, if it likes,
  CONFIGURATION        the configuration (anode.yaml) that it is run with, {scratch} a folder
  others(folder, files, result, scratch, seed)
                       yields (name, folder, truth) of more series made from one of the user, to be judged too
"""
import argparse
import ast
import importlib
import json
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import peers  # noqa: E402
import results  # noqa: E402
from evaluate.row import Row  # noqa: E402


def text(value):
    if value is None:
        return "-"
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def line(case, quantity, truth, measured, error, percent, verdict):
    return f"{case:30.30} {quantity:34} {truth:>14.14} {measured:>14.14} {error:>9} {percent:>7} {verdict}"


def print_rows(case, rows):
    for row in rows:
        percent = f"{100 * row.error / row.truth:+.1f}" if row.error is not None and row.truth else ""
        error = f"{row.error:+.1f}" if row.error is not None else ""
        print(line(case, row.quantity, text(row.truth), text(row.measured), error, percent, row.verdict), flush=True)


def print_summary(rows):
    named = {}
    for row in rows:
        named.setdefault(row.of_which or row.quantity, []).append(row)
    print()
    for name, those in named.items():
        judged = [r for r in those if r.truth is not None]
        if not judged:
            continue
        off = sum(r.verdict == "OFF" for r in judged)
        relative = [100 * abs(r.error / r.truth) for r in judged if r.error is not None and r.truth]
        spread = f"; absolute error: median {statistics.median(relative):.1f} %, most {max(relative):.1f} %" if relative else ""
        print(f"{name}: {len(judged) - off} of {len(judged)} within bounds{spread}")


def folders(directory):
    """Series below a folder of the user: [(name, folder, truth or None)]"""
    directory = pathlib.Path(directory)
    if not peers.dicom_files(directory):
        sys.exit(f"evaluate: no DICOM files in {directory}")
    known = sorted(directory.rglob("truth.json"))
    if not known:
        return [(directory.name, directory, None)]
    return [(path.parent.name, path.parent, json.loads(path.read_text())) for path in known]


def judge(stage, name, folder, truth, expected, scratch, seed=None):
    """seed: of what is made from the series, None: nothing is."""
    result = None
    try:
        configuration = None
        if hasattr(stage, "CONFIGURATION"):
            configuration = scratch / "anode.yaml"
            configuration.write_text(stage.CONFIGURATION.replace("{scratch}", str(scratch)))
        result = results.Result(peers.dicom_files(folder), scratch / "out", stage.__name__.split(".")[-1], configuration)
        found = stage.rows(truth, expected, result)
    except AssertionError as error:  # the analysis said that it cannot
        found = [Row("run", "done", " ".join(str(error).split())[:200])]
    print_rows(name, found)
    if result and seed is not None and hasattr(stage, "others"):
        for view, made, known in stage.others(folder, result.files, result, scratch, seed):
            found += judge(stage, f"{name}, {view}", made, known, None, scratch / view)
            shutil.rmtree(made)
    return found


def parse(arguments):
    known = sorted(p.stem for p in HERE.glob("*.py") if p.stem not in ("frame", "row"))
    stages = "\n\n".join(f"{name}: {ast.get_docstring(ast.parse((HERE / f'{name}.py').read_text()))}" for name in known)
    p = argparse.ArgumentParser(prog="./run evaluate", usage="%(prog)s STAGE [options] [DIR...]", description=__doc__.splitlines()[0],
                                epilog=stages, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("stage", choices=known)
    p.add_argument("--seeds", type=int, default=None, metavar="N", help="fresh seeds (1; 0 with a DIR)")
    p.add_argument("--seed", type=int, action="append", default=[], metavar="SEED", help="this seed; may be repeated")
    p.add_argument("--case", default="", metavar="TEXT", help="only phantoms whose name contains TEXT")
    p.add_argument("folders", nargs="*", type=pathlib.Path, metavar="DIR", help="a folder of DICOM files")
    return p.parse_intermixed_args(arguments)  # options may stand between STAGE and DIR


def main(arguments):
    options = parse(arguments)
    stage = importlib.import_module(f"evaluate.{options.stage}")
    fresh = options.seeds if options.seeds is not None else 0 if options.seed else 1
    seeds = options.seed + [random.SystemRandom().randrange(1, 2**31) for _ in range(fresh)]
    phantoms = seeds if options.seeds is not None or not options.folders else []
    print(f"to repeat this: ./run evaluate {options.stage} {' '.join(f'--seed {s}' for s in seeds)}"
          f"{' --seeds 0' if phantoms and options.folders else ''} {' '.join(map(str, options.folders))}\n")
    print(line("series", "quantity", "truth", "measured", "error", "%", "verdict"))
    rows = []
    for folder in options.folders:
        for name, source, truth in folders(folder):
            with tempfile.TemporaryDirectory(prefix="anode-evaluate-") as scratch:
                rows += judge(stage, name, source, truth, None, pathlib.Path(scratch), seeds[0] if seeds else 1)
    for seed in phantoms:
        for name, described, expected in stage.cases(seed):
            if options.case not in name:
                continue
            with tempfile.TemporaryDirectory(prefix="anode-evaluate-") as scratch:
                scratch = pathlib.Path(scratch)
                generator = HERE.parent / "phantom" / f"{stage.GENERATOR}.py"
                subprocess.run(["/usr/bin/python3", generator, scratch / "in", *map(str, described)], check=True, stdout=subprocess.DEVNULL)
                truth = json.loads((scratch / "in" / "truth.json").read_text())
                rows += judge(stage, f"{name} ({seed})", scratch / "in", truth, expected, scratch)
    print_summary(rows)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (OSError, subprocess.SubprocessError) as broken:
        print(f"evaluate: {broken}", file=sys.stderr)
        sys.exit(2)

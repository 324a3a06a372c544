#!/usr/bin/python3
"""`anode check` on broken configurations: every error at once, at its place, with exit status 1.

Each file of tests/unit/conf names its errors in comments: "# expect 14:7: routes[0].run: ...". The
words are checked beside the table (test_conf.c); here it is the program with its real analyses.
"""
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
ANODE = pathlib.Path(os.environ.get("ANODE", ROOT / "build" / "anode"))


def check(path, *more):
    return subprocess.run([ANODE, "check", *more, "-c", path], capture_output=True, text=True, check=False, timeout=1200)


def places(lines):
    """{(line and column, key path)}"""
    return {tuple(line.split(": ", 2)[:2]) for line in lines}


def broken(path):
    expected = [line[len("# expect "):] for line in path.read_text().splitlines() if line.startswith("# expect ")]
    done = check(path)
    reported = [line[len(str(path)) + 1:] for line in done.stderr.splitlines() if line.startswith(f"{path}:")]
    if done.returncode == 1 and expected and places(expected) == places(reported) and len(expected) == len(reported):
        return []
    return [f"{path.name}: exit status {done.returncode}, wanted {sorted(places(expected))}, got:\n{done.stderr}"]


def good():
    """The example is valid, and what is printed of it is valid and prints the same."""
    first = check(ROOT / "conf" / "anode.yaml", "-p")
    if first.returncode != 0:
        return [f"anode.yaml: {first.stderr}"]
    again = pathlib.Path(os.environ.get("TMPDIR", "/tmp")) / f"anode-check-{os.getpid()}.yaml"
    try:
        again.write_text(first.stdout)
        second = check(again, "-p")
    finally:
        again.unlink(missing_ok=True)
    return [] if second.returncode == 0 and second.stdout == first.stdout else [f"printed configuration: {second.stderr}{second.stdout}"]


def main():
    if not ANODE.exists():
        print(f"{ANODE} is not built")
        return 77
    files = sorted((ROOT / "tests" / "unit" / "conf").glob("*.yaml"))
    complaints = good() + [c for path in files for c in broken(path)]
    absent = check("/nonexistent/anode.yaml")
    if absent.returncode != 1 or "No such file" not in absent.stderr:
        complaints.append(f"a file that is not there: {absent.returncode} {absent.stderr}")
    print("\n".join(complaints) or f"{len(files)} broken configurations are explained")
    return 1 if complaints or len(files) < 10 else 0


if __name__ == "__main__":
    sys.exit(main())

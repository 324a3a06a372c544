#!/usr/bin/python3
"""The command line answers like other tools of the field: help, versions, misspelt words, JSON as
doc/json.md says, values that can be copied. No network, no analysis.
"""
import copy
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1]), str(pathlib.Path(__file__).resolve().parents[1] / "net")]
import schema  # noqa: E402
from node import make_series, yaml  # noqa: E402
from peers import ANODE, ROOT  # noqa: E402

NO_DEVICE = {"VK_ICD_FILENAMES": "/nonexistent", "VK_DRIVER_FILES": "/nonexistent"}
COMMANDS = ("serve", "check", "analyze", "inspect", "route", "status", "jobs", "quarantine", "devices", "stages")
OVERVIEW = "anode --help lists the commands"


def check(holds, what):
    if not holds:
        raise AssertionError(what)


def anode(*words, status=0, env=None, cwd=None):
    """Runs the program; its output when it ends with that status."""
    done = subprocess.run([ANODE, *map(str, words)], capture_output=True, text=True, check=False, timeout=1200,
                          env=dict(os.environ, **(env or {})), cwd=cwd)
    check(done.returncode == status, f"anode {words}: exit status {done.returncode}, not {status}: {done.stdout}{done.stderr}")
    return done


def has_device():
    return subprocess.run([ANODE, "devices"], capture_output=True, check=False).returncode == 0


def help_is_asked_for_and_comes_on_stdout(_):
    for words in (["--help"], ["-h"], ["help"]):
        done = anode(*words)
        check(not done.stderr, f"{words} wrote to stderr: {done.stderr}")
        check(re.findall(r"^  anode (\w+) ", done.stdout, re.M) == list(COMMANDS), done.stdout)
    for command in COMMANDS:
        said = {anode(*words).stdout for words in ([command, "--help"], [command, "-h"], ["help", command])}
        check(len(said) == 1, f"{command} explains itself in several ways: {said}")
        text = said.pop()
        check(text.startswith(f"usage: anode {command}") and "--help" in text, text)
    check("-c, --config FILE" in anode("status", "-c", "/nonexistent", "--help").stdout, "the help of status")


def version_is_one_line(_):
    check(re.fullmatch(r"anode \d+\.\d+\.\d+\n", anode("--version").stdout), "--version")


def without_a_command_the_usage_is_an_error(_):
    done = anode(status=1)
    check(not done.stdout and "usage: anode COMMAND" in done.stderr, done)


def misspelt_words_are_refused_with_what_was_meant(_):
    for words, wanted in (
        (["statsu"], ['no command "statsu" (did you mean "status"?)', OVERVIEW]),
        (["chek", "-c", "x"], ['no command "chek" (did you mean "check"?)']),
        (["hlep"], ['did you mean "help"?']),
        (["xyzzy"], ['no command "xyzzy"\n', OVERVIEW]),
        (["help", "rotue"], ['no command "rotue" (did you mean "route"?)']),
        (["-x"], ['no command "-x"']),
        (["status", "--jsno"], ["anode status: no option --jsno (did you mean --json?)", "usage: anode status [-c FILE] [--json]"]),
        (["status", "-x"], ["anode status: no option -x", "usage: anode status"]),
        (["stages", "-jx"], ["anode stages: no option -j"]),
        (["serve", "--json"], ["anode serve: no option --json"]),
        (["check", "--config"], ["anode check: a value is missing after --config"]),
        (["analyze", "-o"], ["anode analyze: a value is missing after -o"]),
        (["inspect"], ["anode inspect: something is missing: PATH..."]),
        (["inspect", "--nifti", "."], ["--nifti writes files: name their folder with -o"]),
        (["route"], ["anode route: something is missing: PATH..."]),
        (["devices", "all"], ["anode devices: too many arguments: all"]),
        (["jobs", "shwo", "1"], ['anode jobs: nothing is called "shwo" (did you mean "show"?)', "anode jobs --help"]),
        (["jobs", "show"], ['the number of a job is missing after "show"']),
        (["jobs", "--failed"], ["--failed stands alone with"]),
        (["jobs", "show", "--failed"], ["--failed stands alone with retry"]),
        (["jobs", "retry", "--failed", "7"], ['--failed stands alone with retry, not with "7"']),
        (["jobs", "retry", "1x"], ['not the number of a job: "1x"']),
        (["jobs", "discard", "-3"], ["anode jobs: no option -3"]),
        (["analyze", "-s", "calcum", "x"], ['no stage "calcum" (did you mean "calcium"?)']),
    ):
        done = anode(*words, status=1)
        check(not done.stdout, f"{words} wrote to stdout: {done.stdout}")
        check(all(w in done.stderr for w in wanted), f"{words}: {done.stderr}")


def usage_is_documented(_):
    readme, manual = (ROOT / "README.md").read_text(), (ROOT / "doc" / "anode.8").read_text()
    squeezed = re.sub(r"\s+", " ", readme)
    for command in COMMANDS:
        text = anode(command, "--help").stdout
        usage = text.splitlines()[0].removeprefix("usage: ")
        check(usage in squeezed, f"README.md: no {usage}")
        section = manual.split(f".It Cm {command}\n")[1].split("\n.It Cm ")[0]
        for letter, name in re.findall(r"^  (?:-(\w), |    )--(\w+)", text, re.M):
            if name not in ("help", "config"):
                flag = f"Fl {letter}" if letter else f"Fl -{name}"
                check(flag in section, f"doc/anode.8: {command}: nothing about {flag}")


def parsed(done, name):
    document = json.loads(done.stdout)
    found = schema.complaints(document, name)
    check(not found, "\n".join(found))
    return document


def json_is_what_its_document_says(_):
    there = has_device()
    devices = parsed(anode("devices", "--json", status=0 if there else 1), "anode.devices/1")["devices"]
    check(sum(d["chosen"] for d in devices) == (1 if there else 0), f"chosen devices: {devices}")
    stages = parsed(anode("stages", "--json"), "anode.stages/1")["stages"]
    check([s["name"] for s in stages] == re.findall(r"^(\w+): ", anode("stages").stdout, re.M), f"stages {stages}")
    wanted = [(w["help"], w["keyword"], ", ".join(w["patterns"])) for s in stages for i in s["inputs"] for w in i["prefers"]]
    shown = re.findall(r"^    prefers (.*?): (\w+) ?(.*?)(?:, nearest to [\d.]+)?$", anode("stages").stdout, re.M)
    check(wanted and wanted == shown, f"prefers {wanted}, shown {shown}")
    valid = parsed(anode("check", "--json", "-c", ROOT / "conf" / "anode.yaml", status=0 if there else 1), "anode.check/1")
    check(valid["valid"] and valid["routes"][0]["when"]["SeriesDescription"] == "/ca.?sc|calcium/i", valid)
    broken = parsed(anode("check", "--json", "-c", ROOT / "tests/unit/conf/types.yaml", status=1), "anode.check/1")
    check(not broken["valid"] and broken["errors"] and "routes" not in broken, broken)
    text = anode("check", "-c", ROOT / "tests/unit/conf/types.yaml", status=1)
    check(broken["errors"] == text.stderr.splitlines()[:len(broken["errors"])], broken["errors"])


def schemas_are_able_to_fail(_):
    good = json.loads(anode("stages", "--json").stdout)
    check(schema.complaints(good, "anode.stages/1") == [], "the original")
    for change in (lambda d: d.pop("anode"), lambda d: d.update(more=1), lambda d: d.update(stages={}), lambda d: d["stages"][0].pop("title"),
                   lambda d: d["stages"][0].update(version=1), lambda d: d["stages"][0]["results"].append(3), lambda d: d["stages"].append(3),
                   lambda d: d["stages"][0]["parameters"][0].update(min="1"), lambda d: d.update(schema="anode.stages/0")):
        bad = copy.deepcopy(good)
        change(bad)
        check(schema.complaints(bad, "anode.stages/1"), f"not found: {bad}")


def without_a_device_the_remedy_is_named(_):
    for words in (["devices"], ["check", "-c", ROOT / "conf" / "anode.yaml"]):
        done = anode(*words, status=1, env=NO_DEVICE)
        check("no usable Vulkan device" in done.stderr and "mesa-vulkan-drivers" in done.stderr, f"{words}: {done.stderr}")
    document = parsed(anode("check", "--json", "-c", ROOT / "conf" / "anode.yaml", status=1, env=NO_DEVICE), "anode.check/1")
    check(document["valid"] and document["devices"] == [], document)
    check(parsed(anode("devices", "--json", status=1, env=NO_DEVICE), "anode.devices/1")["devices"] == [], "devices")


def a_device_that_is_not_there_is_an_error(tmp):
    if not has_device():
        return
    conf = tmp / "anode.yaml"
    conf.write_text(yaml(tmp, 11112, {"PACS": 104}, extra="worker:\n  device: no such card\n"))
    done = anode("check", "-c", conf, status=1)
    check('no usable Vulkan device "no such card"' in done.stderr, done.stderr)


def values_that_route_prints_can_be_copied_as_patterns(tmp):
    described = "CaSc  3=x \u00bcmm K\u00f6rper \u5c71"
    make_series(tmp / "in", 1, count=1, description=described, SpecificCharacterSet="ISO_IR 192")
    make_series(tmp / "in2", 2, count=2, description="Thorax\x1b[2J\x9b", SpecificCharacterSet="ISO_IR 100")
    conf = tmp / "anode.yaml"
    conf.write_text(yaml(tmp, 11112, {"PACS": 104}, when="SeriesDescription: nothing"))
    shown = anode("route", "-c", conf, tmp / "in").stdout
    check(f"description {described}\n" in shown, shown)
    copied = re.search(r'SeriesDescription is "(.*)", wanted nothing', shown)
    check(copied and copied[1] == described, shown)
    conf.write_text(yaml(tmp, 11112, {"PACS": 104}, when=f"SeriesDescription: '{copied[1]}'"))
    check('route "calcium" runs calcium' in anode("route", "-c", conf, tmp / "in").stdout, "the copied value does not match")
    hostile = anode("route", "-c", conf, tmp / "in2").stdout
    check(all(ord(c) >= 32 and ord(c) != 0x9b or c == "\n" for c in hostile), f"control characters reach the terminal: {hostile!r}")
    document = parsed(anode("route", "--json", "-c", conf, tmp / "in", tmp / "in2"), "anode.route/1")
    found = {s["description"]: (s["route"], s["run"], s["instances"]) for s in document["series"]}
    check(found[described] == ("calcium", ["calcium"], 1), found)
    check([len(s["why"]) for s in document["series"]] == [2, 1], document)  # the route, and the analysis of the one that matches


def analyses_go_by_declared_inputs_not_by_words(tmp):
    make_series(tmp / "in", 1, count=1, Modality="ECG", description="ECG-gated CT calcium")
    for words in ([], ["-s", "calcium"]):
        done = anode("analyze", "-o", tmp / "out", *words, tmp / "in", status=1)
        check("nothing to analyse among the series found" in done.stderr, done.stderr)
        check('calcium does not take it: Modality is "ECG", wanted CT' in done.stderr, done.stderr)
        check(("lungs does not take it" in done.stderr) == (not words), done.stderr)
        check(not (tmp / "out").exists(), "a folder without results")


TESTS = [f for f in list(globals().values()) if callable(f) and getattr(f, "__module__", "") == "__main__" and f.__code__.co_varnames[:1] in (("tmp",), ("_",))]


def main():
    if not ANODE.exists():
        print(f"{ANODE} is not built")
        return 77
    bad = 0
    for test in TESTS:
        with tempfile.TemporaryDirectory(prefix="anode-cli-") as tmp:
            try:
                test(pathlib.Path(tmp))
            except Exception as trouble:  # the others run all the same
                bad += 1
                print(f"FAILED {test.__name__}: {trouble!r}")
    print(f"{len(TESTS) - bad} of {len(TESTS)} passed")
    return 1 if bad or not TESTS else 0


if __name__ == "__main__":
    sys.exit(main())

"""Adds up what ctest wrote (JUnit XML) and ends with one plain line.

usage: summary.py FILE...   Exit status 1: a test failed, or a file is missing.
"""
import sys
import xml.etree.ElementTree as xml


def reason(case):
    """What the test itself said, or what ctest says."""
    said = [line for line in (case.findtext("system-out") or "").splitlines() if line.startswith("skipped: ")]
    return said[-1].removeprefix("skipped: ") if said else case.find("skipped").get("message", "")


def main(paths):
    passed = failed = skipped = 0
    for path in paths:
        try:
            cases = xml.parse(path).getroot().findall("testcase")
        except (OSError, xml.ParseError) as error:
            print(f"no result in {path}: {error}")
            failed += 1
            continue
        for case in cases:
            folder = path.split("/")[0]
            if case.get("status") == "run":
                passed += 1
            elif case.find("skipped") is not None:
                skipped += 1
                print(f"skipped: {folder} {case.get('name')}: {reason(case)}")
            else:
                failed += 1
                print(f"FAILED: {folder} {case.get('name')}")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Power cuts of tests/faults/power.py; and a node that forgets to sync is found out."""
import sys

from power import cuts, forgetful

CUTS, SEED = 20, 7
FORGOTTEN = "file", "folder", "database"


def main():
    total, wrong = cuts(CUTS, SEED)
    for what, number in sorted(total.items()):
        print(f"{number:8d} {what}")
    for line in wrong[:20]:
        print(f"FAILED: {line}")
    if total["acknowledged before them"] < 10 * CUTS:
        wrong.append("hardly anything")
        print("FAILED: hardly anything was acknowledged")
    for what in FORGOTTEN:
        found = forgetful(what)
        print(f"{len(found):8d} violations where the syncs of {what} are left out")
        if not found:
            wrong.append(what)
            print(f"FAILED: nobody notices that the syncs of {what} are left out")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""Fifty rounds of tests/faults/soak.py: processes of a node are killed while it receives."""
import sys

from soak import Wrong, soak

ROUNDS, SEED = 50, 7


def main():
    try:
        total = soak(ROUNDS, SEED)
    except Wrong as e:
        print(f"FAILED: {e}")
        return 1
    for what, count in sorted(total.items()):
        print(f"{count:8d} {what}")
    if total["acknowledged"] < 10 * ROUNDS or not total["reports"]:
        print("FAILED: hardly anything was acknowledged or analysed")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

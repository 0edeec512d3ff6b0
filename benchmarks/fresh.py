"""How fresh the snapshots of 1 to 2,000 watched jobs are, and how many requests a second that costs. Virtual time.

python benchmarks/fresh.py [--gap 4]
"""

import argparse
import sys
from pathlib import Path

# In place of this folder, whose modules have names that the tests need.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import fresh

JOBS = (1, 4, 20, 200, 2000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gap", type=float, default=4.0, help="seconds from step to step (default: 4)")
    gap = parser.parse_args().gap
    print("|  jobs | how      | age p50 s | age p95 s | requests/s | most in 2 s |")
    print("|------:|----------|----------:|----------:|-----------:|------------:|")
    for handles in (False, True):
        for jobs in JOBS:
            found = fresh.follow(jobs, gap=gap, handles=handles)
            how = "handles" if handles else "watcher"
            ages = f"{found.age:9.1f} | {found.p95:9.1f}"
            print(f"| {jobs:5,} | {how:8} | {ages} | {found.rps:10.2f} | {found.most:11} |", flush=True)


if __name__ == "__main__":
    main()

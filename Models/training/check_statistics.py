"""Prints the generator's statistics beside the real ones; exit status 1 when one has left its tolerance."""

import sys

from thermograms import statistics

rows = statistics.table(1000, seed=1)
print("\n".join(statistics.lines(rows)))
faults = statistics.drift(rows)
for fault in faults:
    print(fault, file=sys.stderr)
sys.exit(1 if faults else 0)

"""The generator's statistics beside the real ones: prints the table, writes it and a sheet of thermograms to
Models/report, and ends with status 1 when a statistic has left its tolerance."""

import sys

import report
from thermograms import statistics

rows = statistics.table()
faults = statistics.drift(rows)
text = [
    "# The generator beside real thermograms", "",
    f"Clean healthy frontal scenes, 500 from each of the seeds {', '.join(map(str, statistics.SEEDS))}, against aggregate "
    "statistics of real frontal thermograms at 24 x 32; percentiles 0, 5, 50, 95 and 100. Definitions and tolerances: "
    "`training/thermograms/statistics.py`. Written by `make models-statistics`.", "",
    *statistics.lines(rows), "", "Outside the tolerances: " + ("; ".join(faults) or "none") + "."]
report.PLOTS.mkdir(exist_ok=True)
(report.PLOTS / "statistics.md").write_text("\n".join(text) + "\n")
report.sheet()
print("\n".join(statistics.lines(rows)))
for fault in faults:
    print(fault, file=sys.stderr)
sys.exit(1 if faults else 0)

"""Results: every run as a row of a CSV file; of all runs of the same thing,
median, lowest and highest as a table."""
import csv
import os
import statistics

# Columns that say what was measured, not what came out.
FACTORS = ("contender", "rate", "events", "case", "count", "clients", "commit")


def number(x):
    if isinstance(x, str):
        return x
    if abs(x) >= 1000:
        return f"{x:,.0f}"
    return f"{x:.0f}" if abs(x) >= 100 else f"{x:.1f}" if abs(x) >= 10 else f"{x:.2f}"


def spread(values):
    middle = statistics.median(values)
    if len(values) == 1:
        return number(middle)
    return f"{number(middle)} ({number(min(values))}-{number(max(values))})"


class Results:
    """The rows of one scenario, in the order in which they came."""

    def __init__(self, name, title, out):
        self.name, self.title, self.out = name, title, out
        self.rows = []

    def add(self, **row):
        """Written at once: an interrupted bench keeps what it has."""
        self.rows.append(row)
        columns = list(dict.fromkeys(c for r in self.rows for c in r))
        with open(os.path.join(self.out, f"{self.name}.csv"), "w", newline="") as f:
            w = csv.DictWriter(f, columns)
            w.writeheader()
            w.writerows(self.rows)

    def grouped(self):
        """{values of the factors: {column: [value of each run]}}"""
        groups = {}
        for row in self.rows:
            key = tuple((f, row[f]) for f in FACTORS if f in row)
            columns = groups.setdefault(key, {})
            for name, value in row.items():
                if name not in FACTORS and name != "run":
                    columns.setdefault(name, []).append(value)
        return groups

    def medians(self, column, **factors):
        """[(group's factors as dict, median, lowest, highest)]"""
        found = []
        for key, columns in self.grouped().items():
            key = dict(key)
            if column in columns and all(key.get(k) == v for k, v in factors.items()):
                values = columns[column]
                found.append((key, statistics.median(values), min(values), max(values)))
        return found

    def table(self):
        groups = self.grouped()
        if not groups:
            return ""
        factors = [f for f in FACTORS if any(f in dict(k) for k in groups)]
        names = list(dict.fromkeys(n for g in groups.values() for n in g))
        runs = max(len(v) for g in groups.values() for v in g.values())
        lines = [f"### {self.title}", "",
                 f"{runs} runs: median (lowest-highest)" if runs > 1 else "one run", "",
                 "| " + " | ".join(factors + names) + " |",
                 "|" + "---|" * (len(factors) + len(names))]
        for key, columns in groups.items():
            key = dict(key)
            cells = [key[f] if isinstance(key.get(f), str) else f"{key[f]:,}" if f in key else ""
                     for f in factors]
            cells += [spread(columns[n]) if n in columns else "" for n in names]
            lines.append("| " + " | ".join(cells) + " |")
        return "\n".join(lines) + "\n"


def head(about, contenders):
    lines = [f"- {what}: {value}" for what, value in about]
    lines += [f"- {c.label}: {c.settings}" for c in contenders]
    return "\n".join(lines) + "\n"

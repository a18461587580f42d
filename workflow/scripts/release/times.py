"""Gather the benchmark files of all jobs and draw where the time went."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from labeltransfer.figures.style import save
from labeltransfer.figures.times import times
from labeltransfer.files.csvfile import write_csv
from labeltransfer.runtime import job


def rule_of(path, patterns):
    """The rule that writes a benchmark file; of several patterns that fit, the one with the least freedom."""
    fits = [
        (pattern.count("{"), name)
        for name, pattern in patterns.items()
        if re.fullmatch(re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(pattern)), path)
    ]
    return min(fits)[1] if fits else None


def read_benchmarks(folder, patterns):
    """One row per job: rule, file, and what Snakemake measured; '-' and NA where the job was too short."""
    rows = []
    for path in sorted(Path(folder).rglob("*.tsv")):
        rule = rule_of(path.as_posix(), patterns)
        if rule is not None:
            measured = pd.read_csv(path, sep="\t", na_values=["-", "NA"]).iloc[-1]
            numbers = {name: measured.get(name, np.nan) for name in ("s", "cpu_time", "max_rss")}
            rows.append({"rule": rule, "job": path.with_suffix("").as_posix(), **numbers})
    return pd.DataFrame(rows, columns=["rule", "job", "s", "cpu_time", "max_rss"])


def by_rule(table):
    """Sums and maxima over the jobs of each rule."""
    groups = table.groupby("rule", sort=True)
    summary = groups["s"].agg(jobs="size", wall_s="sum", longest_s="max").reset_index()
    summary["cpu_s"] = groups["cpu_time"].sum().to_numpy()
    summary["memory_mb"] = groups["max_rss"].max().to_numpy()
    return summary.sort_values("wall_s", ascending=False, kind="stable")


def main(snakemake):
    """Write the table and the figure."""
    table = by_rule(read_benchmarks("logs", snakemake.params.patterns))
    print(table.to_string(index=False))
    write_csv(table, snakemake.output.table)
    columns = ("rule", "wall_s", "cpu_s", "jobs", "longest_s", "memory_mb")
    figure = times(*(table[name].to_numpy() for name in columns))
    save(figure, snakemake.output.pdf, snakemake.output.png)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)

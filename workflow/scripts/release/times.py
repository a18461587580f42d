"""Gather the benchmark files of all jobs and draw where the time went."""

import sys

from labeltransfer.figures.style import save
from labeltransfer.figures.times import times
from labeltransfer.files.benchmarks import by_rule, read_benchmarks, report
from labeltransfer.files.csvfile import write_csv
from labeltransfer.runtime import job


def main(snakemake):
    """Write the table and the figure, and say which jobs were the longest."""
    jobs = read_benchmarks(snakemake.params.logs, snakemake.params.patterns)
    table = by_rule(jobs)
    write_csv(table, snakemake.output.table)
    columns = ("rule", "wall_s", "cpu_s", "jobs", "longest_s", "memory_mb")
    figure = times(*(table[name].to_numpy() for name in columns))
    save(figure, snakemake.output.pdf, snakemake.output.png)
    text = report(jobs)
    print(text)
    # Whoever asks for the times wants to see them; the log has them too.
    print(text, file=sys.__stdout__)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)

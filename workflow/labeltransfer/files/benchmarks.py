"""The benchmark files that Snakemake leaves beside the logs, one for each job: where the time went."""

import re
from pathlib import Path

import numpy as np

MEASURED = ("s", "cpu_time", "max_rss")
# CPU seconds of each study on the default mock archive, from nothing, with the start of every job and the archive:
# `snakemake --cores 2 STUDY` on two cores of a virtual machine (2026), the compilation of the models with the first.
CPU_SECONDS = {"ho2017": 170, "ting2017": 490}


def rule_of(path, patterns):
    """Find the rule that writes a benchmark file.

    Parameters
    ----------
    path : str
        The file.
    patterns : mapping
        Rule -> its pattern, with wildcards in braces.

    Returns
    -------
    str or None
        Of several rules whose patterns fit, the one with the least freedom; None if none fits.
    """
    fits = [
        (pattern.count("{"), name)
        for name, pattern in patterns.items()
        if re.fullmatch(re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(pattern)), path)
    ]
    return min(fits)[1] if fits else None


def read_benchmarks(folder, patterns):
    """Read all benchmark files in a folder.

    Parameters
    ----------
    folder : str or Path
        It is searched with all folders in it, whose paths are as the patterns have them.
    patterns : mapping
        As for `rule_of`.

    Returns
    -------
    DataFrame
        One row per job: rule, job (the file without its ending), s (wall time, seconds), cpu_time (seconds; Snakemake
        looks at a job from time to time, and misses what came after its last look), max_rss (MB). NaN where the job
        was too short.
    """
    import pandas as pd  # late: Snakemake itself asks this module how long a run takes

    rows = []
    for path in sorted(Path(folder).rglob("*.tsv")):
        rule = rule_of(path.as_posix(), patterns)
        if rule is not None:
            measured = pd.read_csv(path, sep="\t", na_values=["-", "NA"]).iloc[-1]
            numbers = {name: measured.get(name, np.nan) for name in MEASURED}
            rows.append({"rule": rule, "job": path.with_suffix("").as_posix(), **numbers})
    return pd.DataFrame(rows, columns=["rule", "job", *MEASURED])


def by_rule(jobs):
    """Sums and maxima over the jobs of each rule, the one that took longest first.

    Parameters
    ----------
    jobs : DataFrame
        From `read_benchmarks`.

    Returns
    -------
    DataFrame
        rule, jobs, wall_s, longest_s, cpu_s, memory_mb.
    """
    groups = jobs.groupby("rule", sort=True)
    summary = groups["s"].agg(jobs="size", wall_s="sum", longest_s="max").reset_index()
    summary["cpu_s"] = groups["cpu_time"].sum().to_numpy()
    summary["memory_mb"] = groups["max_rss"].max().to_numpy()
    return summary.sort_values("wall_s", ascending=False, kind="stable")


def report(jobs, largest=10):
    """Say in plain text what all jobs took together, each rule's, and the largest.

    Parameters
    ----------
    jobs : DataFrame
        From `read_benchmarks`.
    largest : int, optional
        Jobs to name.

    Returns
    -------
    str
    """
    most = jobs.nlargest(largest, "s").rename(
        columns={"s": "wall_s", "cpu_time": "cpu_s", "max_rss": "memory_mb"}
    )
    return "\n".join(
        [
            f"all {len(jobs)} jobs: {jobs['s'].sum():.0f} s of wall time, {jobs['cpu_time'].sum():.0f} s of CPU time "
            "(one after another; the last moments of a job's CPU time are not seen)",
            "",
            by_rule(jobs).to_string(index=False),
            "",
            f"the {len(most)} longest jobs:",
            most[["job", "wall_s", "cpu_s", "memory_mb"]].to_string(index=False),
        ]
    )


def expectation(studies):
    """Say how long a default run takes on two cores, study by study.

    Parameters
    ----------
    studies : sequence of str
        In the order in which they are made; those that were not measured are left out.

    Returns
    -------
    str
        Empty if none was measured.
    """
    waits = [f"{study} about {CPU_SECONDS[study] / 120:.1f} min" for study in studies if study in CPU_SECONDS]
    if not waits:
        return ""
    return (
        f"From nothing, on two idle cores: {', then '.join(waits)} (measured on one machine; yours may take twice "
        "as long). Figures appear in results/STUDY/figures as they are drawn."
    )

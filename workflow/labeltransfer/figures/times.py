"""Where the time goes: what every rule took, from the benchmark files of its jobs."""

import numpy as np

from labeltransfer.figures.style import CANNON, PAGE_WIDTH, PIPELINE, new_figure, use_style


@use_style()
def times(rules, wall, cpu, jobs, longest, memory):
    """Draw time and memory by rule.

    Parameters
    ----------
    rules : (n,) str
    wall, cpu : (n,) float
        Sum over the jobs of a rule [s].
    jobs : (n,) int
    longest : (n,) float
        Wall time of the longest job [s].
    memory : (n,) float
        Largest resident memory of a job [MB]; NaN if it was too short to be measured.

    Returns
    -------
    matplotlib.figure.Figure
    """
    order = np.argsort(wall, kind="stable")
    figure = new_figure(PAGE_WIDTH, 0.9 + 0.17 * len(order))
    time, peak = figure.subplots(1, 2, sharey=True, width_ratios=(2, 1))
    place = np.arange(len(order))
    time.barh(place, np.asarray(wall)[order], color="0.8", label="all its jobs, wall time")
    time.plot(np.asarray(cpu)[order], place, "o", color=PIPELINE, markersize=3, label="processor time")
    time.plot(np.asarray(longest)[order], place, "|", color=CANNON, markersize=7, label="longest job")
    time.set_xscale("log")
    time.set_xlabel("time (s)")
    time.set_yticks(place, [f"{rules[i]} ({jobs[i]})" for i in order])
    time.tick_params(axis="y", which="both", left=False, right=False)
    time.set_ylim(-0.8, len(order) - 0.2)
    figure.legend(*time.get_legend_handles_labels(), loc="outside upper right", ncols=3)
    peak.plot(np.asarray(memory)[order], place, "o", color="0.2", markersize=3)
    peak.set_xlim(left=0)
    peak.set_xlabel("largest resident memory (MB)")
    peak.tick_params(axis="y", which="both", left=False, right=False)
    return figure

"""Choose the lines that matter at one reference point."""

from labeltransfer.files.atomic import atomic_path
from labeltransfer.runtime import job
from labeltransfer.synthesis.lines import line_list
from labeltransfer.synthesis.sme import LIMITS, select_lines
from labeltransfer.synthesis.steps import take_step


def chosen_lines(folder, reference, threshold, molecule_threshold):
    """Lines of the archives in `folder` that are strong enough at the reference point, with 5 A to spare."""
    lines = line_list(folder, (LIMITS[0] - 5.0, LIMITS[1] + 5.0))
    labels = take_step("reference", reference, {}).labels
    chosen = select_lines(lines, labels, threshold, molecule_threshold)
    print(f"{len(chosen)} of {len(lines)} lines at {labels}")
    return chosen


def main(snakemake):
    """Write the table of lines."""
    params = snakemake.params
    chosen = chosen_lines(
        snakemake.input.archives, params.reference, params.threshold, params.molecule_threshold
    )
    with atomic_path(snakemake.output.lines) as temporary:
        chosen.write(temporary, format="fits", overwrite=True)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)

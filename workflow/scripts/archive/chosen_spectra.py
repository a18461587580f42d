"""Mark each part of the chosen spectra of one's own: only those with another spectrum in them are read again."""

from labeltransfer.files.atomic import atomic_path
from labeltransfer.files.chunks import rows_by_name
from labeltransfer.files.tables import read_table
from labeltransfer.runtime import job
from labeltransfer.sources.at_hand import SPECTRUM, mark_of, numbered_anew, spectra_listed


def main(snakemake):
    """Write a line for each part: its name, and a text that is another one when a spectrum in it is."""
    known = read_table(snakemake.input.survey, ["spectrum_id", "bytes", "sha256"])
    stars = read_table(snakemake.input.stars)
    ledger = spectra_listed(stars, known, "")
    parts = snakemake.params.parts
    rows = {item: rows_by_name(ledger["spectrum_id"].tolist(), item) for item in parts}
    lines = [f"{item} {mark_of(ledger[rows[item]], SPECTRUM)}\n" for item in parts]
    lines.append(f"set {mark_of(numbered_anew(stars), stars.colnames)}\n")
    with atomic_path(snakemake.output.marks) as temporary:
        temporary.write_text("".join(lines))
    print(f"{len(ledger)} spectra in {len(parts)} parts")


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)

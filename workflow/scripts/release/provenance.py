"""Write down for every final file of a study what it was made from, back to the files of the archives."""

import json
from pathlib import Path

from labeltransfer.files.atomic import atomic_path
from labeltransfer.files.places import prefix_of, recorded_name
from labeltransfer.files.provenance import provenance, sha256, trace
from labeltransfer.runtime import job


def main(snakemake):
    """Write provenance.json: also for the formats that have no room for it, such as CSV."""
    params = snakemake.params
    finals = {recorded_name(path): path for path in (*snakemake.input.figures, *snakemake.input.tables)}
    made, digests = trace(finals, params.silent, prefix_of(snakemake.output.record))
    folder = f"results/{snakemake.wildcards.study}/"
    about = provenance(params.settings, snakemake.input.resources, params.code)
    # What lies outside the study's folder was there before it: the archive, and the tables of facts.
    about["inputs"] |= {path: digest for path, digest in digests.items() if not path.startswith(folder)}
    record = {
        "study": snakemake.wildcards.study,
        "archive": params.settings["source"],
        **about,
        "inputs": dict(sorted(about["inputs"].items())),
        "intermediate": {path: digest for path, digest in digests.items() if path.startswith(folder)},
        "outputs": {
            name: {"bytes": Path(path).stat().st_size, "sha256": sha256(path)}
            for name, path in finals.items()
        },
        "made_from": made,
    }
    with atomic_path(snakemake.output.record) as temporary:
        temporary.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(
        f"{len(finals)} files, from {len(record['inputs'])} inputs by way of {len(record['intermediate'])} others"
    )


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)

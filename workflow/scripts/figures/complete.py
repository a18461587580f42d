"""List every final file of a study with its size and sha256."""

import json
from pathlib import Path

from labeltransfer.files.atomic import atomic_path
from labeltransfer.files.places import recorded_name
from labeltransfer.files.provenance import sha256
from labeltransfer.runtime import job


def main(snakemake):
    """Write the manifest of the study."""
    params = snakemake.params
    files = {recorded_name(path): path for path in (*snakemake.input.figures, *snakemake.input.tables)}
    manifest = {
        "study": snakemake.wildcards.study,
        "title": params.study["title"],
        "archive": params.source,
        "files": {
            name: {"bytes": Path(path).stat().st_size, "sha256": sha256(path)}
            for name, path in sorted(files.items())
        },
    }
    with atomic_path(snakemake.output.manifest) as temporary:
        temporary.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)

"""Pack code, configuration and results into one file for a public archive."""

from pathlib import Path

from labeltransfer.files.deposit import as_json, code_files, describe, metadata, write_deposit
from labeltransfer.files.places import recorded_name
from labeltransfer.runtime import job


def main(snakemake):
    """Write the deposit."""
    params = snakemake.params
    studies = {name: params.config["studies"][name]["title"] for name in params.config["run"]}
    about = metadata(params.citation, "; ".join(studies.values()), params.config["source"], params.version)
    files = {f"code/{name}": path for name, path in code_files(params.repository).items()}
    files |= {recorded_name(path): Path(path) for path in snakemake.input.results}
    files |= {name: text.encode() for name, text in params.texts.items()}
    origin = None if params.repository else params.address
    files |= {
        "README.md": describe(about, studies, params.version, origin).encode(),
        ".zenodo.json": as_json(about),
        "config/as_run.json": as_json(params.config),
    }
    print(f"{write_deposit(snakemake.output.deposit, files)} files")


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)

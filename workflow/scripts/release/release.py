"""Pack code, configuration and results into one file for a public archive."""

from pathlib import Path

from labeltransfer.files.deposit import as_json, code_files, describe, metadata, write_deposit
from labeltransfer.runtime import job


def main(snakemake):
    """Write the deposit."""
    params = snakemake.params
    studies = {name: params.config["studies"][name]["title"] for name in params.config["run"]}
    about = metadata(params.citation, "; ".join(studies.values()), params.config["source"], params.version)
    root = Path(params.root)
    files = {f"code/{path.as_posix()}": root / path for path in code_files(root)}
    files |= {path: Path(path) for path in snakemake.input.results}
    files |= {name: root / name for name in ("CITATION.cff", "LICENSE")}
    files |= {
        "README.md": describe(about, studies, params.version).encode(),
        ".zenodo.json": as_json(about),
        "config/as_run.json": as_json(params.config),
    }
    print(f"{write_deposit(snakemake.output.deposit, files)} files")


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)

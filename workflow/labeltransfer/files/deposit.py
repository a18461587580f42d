"""A deposit for an archive such as Zenodo: one zip with code, configuration, results and their checksums."""

import hashlib
import json
import zipfile
from pathlib import Path

from labeltransfer import __version__
from labeltransfer.files.atomic import atomic_path
from labeltransfer.files.places import LIBRARY

VERSION = __version__

#: What of the repository goes into a deposit, if it is there.
CODE = (
    "Snakefile",
    "workflow",
    "config",
    "envs",
    "profiles",
    "resources",
    "docs",
    "tests",
    "benchmarks",
    "README.md",
    "CHANGELOG.md",
    "LICENSE",
    "CITATION.cff",
    "Dockerfile",
    ".dockerignore",
    "pyproject.toml",
    "setup.py",
    "requirements.in",
    "requirements.txt",
    "requirements-test.in",
    "requirements-test.txt",
)
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can hold


def code_files(repository=None):
    """Files of the code for a deposit.

    Parameters
    ----------
    repository : str or Path, optional
        Without one, the library as it is installed.

    Returns
    -------
    dict of str to Path
        Name in the repository or beside the library -> file, sorted; without what is hidden in folders and what
        Python and its installers leave behind.
    """
    root, parts = (LIBRARY.parent, (LIBRARY.name,)) if repository is None else (Path(repository), CODE)
    found = []
    for part in parts:
        path = root / part
        found += path.rglob("*") if path.is_dir() else [path]
    names = {file.relative_to(root): file for file in sorted(found) if file.is_file()}
    return {
        name.as_posix(): file
        for name, file in names.items()
        if not any(
            part.startswith((".", "__pycache__")) or part.endswith(".egg-info") for part in name.parts[1:]
        )
        and file.suffix != ".pyc"
    }


def metadata(citation, title, source, version):
    """Metadata of a deposit in the form of `.zenodo.json`.

    Parameters
    ----------
    citation : mapping
        What CITATION.cff holds.
    title : str
        Of the results.
    source : {'mock', 'public', 'local', 'registry'}
        Which archive they come from.
    version : str

    Returns
    -------
    dict
    """
    what = "Results from a mock archive: simulated spectra, not observations. " if source == "mock" else ""
    return {
        "title": f"{citation['title']}. {title}",
        "description": (
            f"{what}Code, configuration, catalogues of stellar labels with errors of several kinds, the fate of every "
            "input row, tables, figures, trained models and the provenance of each file."
        ),
        "upload_type": "dataset",
        "version": version,
        "license": citation["license"],
        "creators": [{"name": _name(author)} for author in citation["authors"]],
        "keywords": ["stellar labels", "spectroscopy", "LAMOST", "APOGEE", "The Cannon", source],
        "references": [_reference(item) for item in citation.get("references", [])],
    }


def _name(author):
    if "name" in author:
        return author["name"]
    return f"{author['family-names']}, {author['given-names']}"


def _reference(item):
    names = "; ".join(_name(author) for author in item["authors"])
    return f"{names} ({item['year']}), {item['title']}, {item['journal']} {item['volume']}"


def describe(about, studies, version, origin=None):
    """The README of a deposit, in Markdown.

    Parameters
    ----------
    about : mapping
        From `metadata`.
    studies : mapping
        Name of each study -> its title.
    version : str
    origin : str, optional
        Address of the workflow, where the deposit has only its library.

    Returns
    -------
    str
    """
    if origin is None:
        code = f"the workflow that made them, version {version}; its README says how to run it"
        again = "unpack, and in `code/` follow its README with `--configfile ../config/as_run.json`"
    else:
        code = f"the library of the workflow that made them, version {version}; the workflow itself is at {origin}"
        again = "follow the README of the workflow with `--configfile config/as_run.json`"
    results = "\n".join(f"| `results/{name}/` | {title} |" for name, title in studies.items())
    return f"""# {about["title"]}

{about["description"]}

| | |
|---|---|
{results}
| `code/` | {code} |
| `config/as_run.json` | the whole configuration of this run |
| `CITATION.cff`, `.zenodo.json` | how to cite, and the metadata of this deposit |
| `SHA256SUMS` | checksums of all files: `sha256sum --check SHA256SUMS` |

In each study: `catalog.fits` and `catalog.parquet` are the catalogue, `ledger.parquet` has one line for every row of
the input catalogues with the reason why it went no further, `fates.csv` counts them, `published_vs_here.csv` sets
published numbers beside those of this run, `figures/` has every figure, `models/` the trained model, and
`provenance.json` says from which inputs, settings, seeds and versions each file was made.

To run the same again: {again}.
"""


def write_deposit(path, files):
    """Write a zip file of checked contents; the same contents give the same bytes.

    Parameters
    ----------
    path : str or Path
        The zip file; it is replaced if it exists.
    files : mapping
        Name in the zip -> its bytes, or the path of a file. `SHA256SUMS` is added.

    Returns
    -------
    int
        Number of files.
    """
    root = Path(path).stem
    sums = []
    # Nothing is compressed: the bytes would depend on the library that does it, and the large files are compressed.
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(files.items()):
            sums.append(f"{_store(archive, f'{root}/{name}', content)}  {name}\n")
        _store(archive, f"{root}/SHA256SUMS", "".join(sums).encode())
    return len(sums) + 1


def _store(archive, name, content):
    """Add one file; returns its sha256."""
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.create_system, entry.external_attr = 3, 0o100644 << 16
    digest = hashlib.sha256()
    if isinstance(content, bytes):
        digest.update(content)
        archive.writestr(entry, content)
    else:
        entry.file_size = Path(content).stat().st_size
        with open(content, "rb") as source, archive.open(entry, "w") as target:
            while block := source.read(2**20):
                digest.update(block)
                target.write(block)
    return digest.hexdigest()


def as_json(content):
    """Plain data as the bytes of a JSON file."""
    return (json.dumps(content, indent=2, sort_keys=True) + "\n").encode()

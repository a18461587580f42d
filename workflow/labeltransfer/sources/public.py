"""What the public servers hold: catalogues and spectra, fetched."""

import functools
import os
from pathlib import Path
from urllib.parse import parse_qs, urlsplit, urlunsplit

import numpy as np
from astropy.table import Table, vstack

from labeltransfer.files.content import TABLE_LIMIT
from labeltransfer.files.download import FetchError, fetch_files, ledger_table
from labeltransfer.files.names import fields, safe_names
from labeltransfer.files.transfer import Limits, failed_row
from labeltransfer.files.verify import verify_fits
from labeltransfer.sources.datasets import read_datasets
from labeltransfer.surveys.registry import get_survey

LARGEST_SPECTRUM = 20e6  # bytes


def fetch_catalog(datasets, release, folder, base_url=None, limits=None):
    """Fetch the catalogue of stellar parameters of a LAMOST release.

    Parameters
    ----------
    datasets : dict
        From `labeltransfer.sources.datasets.read_datasets`.
    release : str
        For example 'lamost-dr2'.
    folder : str or Path
        Where to; the file keeps its published name.
    base_url : str, optional
        Another server (a mirror) with the same paths.
    limits : Limits, optional
        As for `download.fetch_files`.

    Returns
    -------
    path : Path
        The verified file.
    ledger : Table
        As from `download.fetch_files`.

    Raises
    ------
    FetchError
        If it cannot be had: nothing can go on without it.
    KeyError
        If the table has no such release.
    """
    return _fetch_one(datasets, release, "stellar_catalog", folder, base_url, limits)


def fetch_allstar(datasets, release, folder, base_url=None, limits=None):
    """Fetch the allStar file of an APOGEE release, such as 'apogee-dr12'; otherwise as `fetch_catalog`."""
    return _fetch_one(datasets, release, "allstar", folder, base_url, limits)


def fetch_spectra(survey, datasets, release, folder, base_url=None, limits=None):
    """Fetch spectra of a survey.

    Parameters
    ----------
    survey : Table
        Columns spectrum_id, path (where the file goes below `folder`) and, where the address needs it, obsid.
    datasets, release, folder, base_url, limits
        As for `fetch_catalog`.

    Returns
    -------
    ledger : Table
        One row per row of `survey`, in order, with spectrum_id as key. Beside the reasons of
        `download.fetch_files`: 'malformed spectrum id', 'no obsid'.
    """
    dataset = _find(datasets, release, "spectrum")
    asked = set(fields(dataset.url))
    obsids = survey["obsid"] if "obsid" in asked else np.zeros(len(survey), int)

    address_values = get_survey(release).address_values

    def values(spectrum_id, obsid):
        found = address_values(spectrum_id, obsid)
        if found is None:
            return "malformed spectrum id"
        return "no obsid" if "obsid" in asked and obsid <= 0 else found

    keys = [str(key) for key in survey["spectrum_id"]]
    filled = [values(key, int(obsid)) for key, obsid in zip(keys, obsids, strict=True)]
    return _fetch_many(dataset, keys, filled, survey["path"], folder, base_url, limits)


def fetch_aspcapstar(reference, datasets, release, folder, base_url=None, limits=None):
    """Fetch the combined APOGEE spectra (aspcapStar) of stars.

    Parameters
    ----------
    reference : Table
        Columns reference_id and aspcap_path, where the file goes below `folder`. The parent of that path is
        the folder of the star's field on the server too; the name does not matter there.
    datasets, release, folder, base_url, limits
        As for `fetch_catalog`.

    Returns
    -------
    ledger : Table
        One row per row of `reference`, with reference_id as key. Beside the reasons of
        `download.fetch_files`: 'malformed star id or field'.
    """
    dataset = _find(datasets, release, "aspcapstar")
    keys = [str(key) for key in reference["reference_id"]]
    filled = []
    for key, path in zip(keys, reference["aspcap_path"], strict=True):
        field = str(path).rpartition("/")[0]
        good = safe_names([key, *field.split("/")]).all()
        filled.append({"apogee_id": key, "location_id": field} if good else "malformed star id or field")
    return _fetch_many(dataset, keys, filled, reference["aspcap_path"], folder, base_url, limits)


def _find(datasets, release, kind):
    """The row of the table, or a KeyError that says what there is."""
    if (release, kind) not in datasets:
        known = ", ".join(sorted(name for name, other in datasets if other == kind))
        raise KeyError(f"no {kind} of {release!r} in the table of datasets; there are {known}")
    return datasets[release, kind]


def _rebased(url, base_url):
    """The address on another server, below the path of `base_url`."""
    if base_url is None:
        return url
    base, parts = urlsplit(base_url), urlsplit(url)
    return urlunsplit(
        parts._replace(scheme=base.scheme, netloc=base.netloc, path=base.path.rstrip("/") + parts.path)
    )


def _token(dataset):
    """The access token for a dataset, or None."""
    return os.environ.get(dataset.token_env, "").strip() or None if dataset.token_env else None


def _fetch_one(datasets, release, kind, folder, base_url, limits):
    """Fetch a file that is indispensable."""
    dataset = _find(datasets, release, kind)
    parts = urlsplit(dataset.url)
    name = parse_qs(parts.query).get("name", [parts.path.rpartition("/")[2]])[0]
    wanted = (f"{release} {kind}", _rebased(dataset.url, base_url), name, dataset.size, dataset.checksum)
    verify = functools.partial(verify_fits, limit=TABLE_LIMIT)
    ledger = fetch_files([wanted], folder, limits, token=_token(dataset), verify=verify)
    row = ledger[0]
    if row["status"] == "failed":
        cure = {
            "missing on server": "Correct its row in the table of datasets.",
            "access refused": f"Set the environment variable {dataset.token_env or '(none named for it)'}.",
            "checksum mismatch": "Look at what the server sends, and which release it is.",
        }.get(row["reason"], "Run again later (what was received is kept), or name another server.")
        message = (
            f"{release} {kind}: {row['reason']} after {row['attempts']} attempts at {row['url']}. {cure}"
        )
        raise FetchError(message)
    return Path(folder) / name, ledger


def _fetch_many(dataset, keys, filled, paths, folder, base_url, limits):
    """Fetch a file for each key; `filled` has the values of its placeholders, or a reason against it."""
    url = _rebased(dataset.url, base_url)
    good = np.array([isinstance(values, dict) for values in filled], dtype=bool)
    wanted, unwanted = [], []
    for key, values, path in zip(keys, filled, paths, strict=True):
        if isinstance(values, dict):
            wanted.append((key, url.format(**values, token="{token}"), str(path)))
        else:
            unwanted.append(failed_row(key, "", str(path), values))
    limits = limits or Limits()
    limits = limits._replace(max_bytes=min(limits.max_bytes, LARGEST_SPECTRUM))
    fetched = fetch_files(wanted, folder, limits, token=_token(dataset), verify=verify_fits)
    both = vstack([fetched, ledger_table(unwanted)])
    return both[np.argsort(np.concatenate([np.flatnonzero(good), np.flatnonzero(~good)]))]


def fetch_example(row, datasets, release, folder, settings):
    """Fetch the combined APOGEE spectrum of one star.

    Parameters
    ----------
    row : Row
        As the stars of `fetch_aspcapstar`.
    datasets : str or Path
        The table of datasets.
    release : str
        Of APOGEE.
    folder : str or Path
        Where to.
    settings : mapping
        With `apogee_mirror` and `retries`.

    Returns
    -------
    Path or None
        None where it could not be had; the reason is printed.
    """
    limits = Limits(retries=settings["retries"])
    how = {"base_url": settings["apogee_mirror"], "limits": limits}
    (found,) = fetch_aspcapstar(Table(rows=[row]), read_datasets(datasets), release, folder, **how)
    if found["status"] == "failed":
        print(f"{row['reference_id']}: {found['reason']}")
        return None
    return Path(folder) / str(found["path"])

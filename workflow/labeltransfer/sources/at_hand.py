"""Fetch ledgers: which spectra lie where, and why others do not."""

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
from astropy.table import Table

from labeltransfer.files.places import located
from labeltransfer.files.provenance import sha256

SPECTRUM = ("spectrum_id", "path", "sha256")  # what tells a spectrum of a ledger from another
# What another try will not cure; of other failures a few are borne.
FINAL = ("missing on server", "unsafe file name", "no such file")
_TOLERATED, _FEW = 0.02, 5


def spectra_at_hand(stars, folder, prefix=""):
    """Ledger of spectra that lie in a folder already (mock archive, packages).

    Parameters
    ----------
    stars : Table
        `spectrum_id`, and `path` below the folder.
    folder : str or Path
        As it is to stand in the ledger.
    prefix : str, optional
        Of the outputs of a workflow that another imports; see `labeltransfer.files.places.located`.

    Returns
    -------
    Table
        spectrum_id, path, status ('ok' or 'failed'), reason, bytes (-1 where there is no file), sha256.
    """
    names = [Path(folder) / name for name in np.asarray(stars["path"]).tolist()]
    paths = [located(name, prefix) for name in names]
    sizes = [path.stat().st_size if path.is_file() else -1 for path in paths]
    there = np.array(sizes, dtype=np.int64) >= 0
    return Table(
        {
            "spectrum_id": stars["spectrum_id"],
            "path": np.array([str(name) for name in names], dtype=str),
            "status": np.where(there, "ok", "failed"),
            "reason": np.where(there, "", "no such file"),
            "bytes": sizes,
            # The catalogue leads back to the very bytes of each spectrum.
            "sha256": [sha256(path) if size >= 0 else "" for path, size in zip(paths, sizes, strict=True)],
        }
    )


def spectra_listed(stars, known, folder):
    """Ledger of spectra of one's own, in the form of `spectra_at_hand`, from what was seen when they were listed.

    Parameters
    ----------
    stars : Table
        `spectrum_id`, and `path` below the folder.
    known : Table
        `spectrum_id`, `bytes` and `sha256` of these and others, from `labeltransfer.sources.local.scan_spectra`.
    folder : str or Path
        As it is to stand in the ledger.

    Returns
    -------
    Table
    """
    row = {name: number for number, name in enumerate(known["spectrum_id"].tolist())}
    seen = known[[row[name] for name in stars["spectrum_id"].tolist()]]
    return Table(
        {
            "spectrum_id": stars["spectrum_id"],
            "path": np.array([str(Path(folder) / name) for name in stars["path"].tolist()], dtype=str),
            "status": np.full(len(stars), "ok"),
            "reason": np.full(len(stars), ""),
            "bytes": seen["bytes"],
            "sha256": seen["sha256"],
        }
    )


def mark_of(table, names):
    """A text that is another one when the rows of a table are others in these columns, or in another order."""
    rows = zip(*(table[name].tolist() for name in names), strict=True)
    return hashlib.sha256(repr((list(names), list(rows))).encode()).hexdigest()


def numbered_anew(stars):
    """The stars of a set numbered by themselves: the numbers of the catalogue move with stars that are not in it."""
    return Table({**stars, "star": np.unique(stars["star"], return_inverse=True)[1]}, meta=stars.meta)


def spectra_fetched(stars, fetched, folder):
    """Ledger of spectra that servers were asked for, in the form of `spectra_at_hand`.

    Parameters
    ----------
    stars : Table
        With `spectrum_id`.
    fetched : Table
        From `labeltransfer.sources.public.fetch_spectra`, row by row of the stars.
    folder : str or Path
        Where they lie, as it is to stand in the ledger.

    Returns
    -------
    Table
        With the column `url` besides.
    """
    return Table(
        {
            "spectrum_id": stars["spectrum_id"],
            "path": np.array(
                [str(Path(folder) / path) for path in np.asarray(fetched["path"]).tolist()], dtype=str
            ),
            "status": np.where(fetched["status"] == "failed", "failed", "ok"),
            **{name: fetched[name] for name in ("reason", "bytes", "sha256", "url")},
        }
    )


def worth_another_try(ledger):
    """What to say of a ledger in which many spectra failed that another try may fetch.

    Parameters
    ----------
    ledger : Table
        With `status` and `reason`.

    Returns
    -------
    str
        Empty where such failures are few: more than 5 and more than 2 % are many.
    """
    reasons = np.asarray(ledger["reason"])
    curable = (np.asarray(ledger["status"]) == "failed") & ~np.isin(reasons, FINAL)
    if curable.sum() <= max(_FEW, _TOLERATED * len(ledger)):
        return ""
    most = Counter(reasons[curable].tolist()).most_common(1)[0][0]
    return (
        f"{curable.sum()} of {len(ledger)} spectra could not be fetched, most of them for the reason {most!r}: "
        "the server may be down. What came is kept; run again later to fetch the rest."
    )

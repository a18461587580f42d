"""Set the tables of a study on one page that any browser shows."""

import contextlib
import html
from pathlib import Path

import pandas as pd

from labeltransfer.files.atomic import atomic_path
from labeltransfer.runtime import job

STYLE = """
body {font: 13px sans-serif; margin: 1.5em} table {border-collapse: collapse; margin-bottom: 2em}
th, td {padding: 2px 8px; border-bottom: 1px solid #ddd; text-align: left; white-space: nowrap}
"""


def cell(text):
    """A cell of a table: numbers to four digits, and nothing that a browser could take for more than text."""
    with contextlib.suppress(ValueError):
        value = float(text)
        if not value.is_integer():
            text = f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return html.escape(text)


def page(title, tables):
    """The page.

    Parameters
    ----------
    title : str
    tables : dict of str to DataFrame
        Texts, by heading.
    """
    parts = [
        f"<!DOCTYPE html><meta charset='utf-8'><title>{html.escape(title)}</title><style>{STYLE}</style>"
    ]
    parts.append(f"<h1>{html.escape(title)}</h1>")
    for name, table in tables.items():
        head = "".join(f"<th>{html.escape(column)}</th>" for column in table.columns)
        rows = ("".join(f"<td>{cell(text)}</td>" for text in row) for row in table.itertuples(index=False))
        body = "\n".join(f"<tr>{row}</tr>" for row in rows)
        parts.append(f"<h2>{html.escape(name)}</h2>\n<table><tr>{head}</tr>\n{body}</table>")
    return "\n".join(parts) + "\n"


def main(snakemake):
    """Write the page."""
    paths = sorted(Path(path) for path in snakemake.input)
    tables = {
        path.stem.replace("_", " "): pd.read_csv(path, dtype=str, keep_default_na=False) for path in paths
    }
    with atomic_path(snakemake.output.page) as temporary:
        temporary.write_text(page(snakemake.params.title, tables), encoding="utf-8")


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)

"""Tables of facts with Windows' line ends say the same."""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from astropy.table import Table

from labeltransfer.files.readers import read_columns
from labeltransfer.models.starts import read_starts
from labeltransfer.sources.datasets import read_datasets
from labeltransfer.spectra.masks import read_windows
from labeltransfer.validation.published import read_published

READERS = {
    "config/config.yaml": lambda path: yaml.safe_load(Path(path).read_text(encoding="utf-8")),
    "resources/datasets.csv": read_datasets,
    "resources/lines/dibs.csv": lambda path: Table.read(path, format="ascii.csv"),
    "resources/lines/spectral_features.csv": lambda path: Table.read(path, format="ascii.csv"),
    "resources/masks/sky_lines.csv": read_windows,
    "resources/masks/telluric.csv": read_windows,
    "resources/published/ho2017.csv": read_published,
    "resources/published/ness2015.csv": read_published,
    "resources/published/ting2017.csv": read_published,
    "resources/starting_points.csv": lambda path: read_starts(path, ("teff", "logg"), np.ones((2, 2))),
    "labels of one's own": lambda path: read_columns(path, lambda names: names),
}


def test_every_table_of_facts_is_tried(root):
    assert {str(path.relative_to(root)) for path in root.glob("resources/**/*.csv")} <= set(READERS)


@pytest.mark.parametrize("name", READERS)
def test_windows_line_ends_change_nothing(root, tmp_path, name):
    text = b"obsid,class,teff\n12,STAR,4800.5\n13,STAR,4700.0\n"
    if (root / name).is_file():
        text = (root / name).read_bytes()
    for end in (b"\n", b"\r\n"):
        path = tmp_path / f"{len(end)}.csv"
        path.write_bytes(re.sub(rb"\r?\n", lambda _, end=end: end, text))
    plain, windows = (repr(READERS[name](tmp_path / f"{n}.csv")) for n in (1, 2))
    assert windows.replace("2.csv", "1.csv") == plain
    assert "\\r" not in windows

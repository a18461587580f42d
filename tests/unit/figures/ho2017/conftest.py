"""The tables of lines that figure 4 shows."""

import pytest
from astropy.table import Table


@pytest.fixture(scope="module")
def lines(root):
    """The tables of stellar features and of diffuse interstellar bands."""
    names = ("spectral_features", "dibs")
    return tuple(Table.read(root / f"resources/lines/{name}.csv") for name in names)

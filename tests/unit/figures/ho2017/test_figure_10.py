"""Figure 10: label distance over the Kiel diagram."""

import numpy as np
from astropy.table import Table

from labeltransfer.figures.ho2017 import figure_10


def test_densities_lie_where_their_stars_are():
    survey = Table({"teff": np.full(50, 4700.0), "logg": np.full(50, 1.2)})
    limits = {"teff": (4000, 8000), "logg": (0, 5)}
    image = figure_10.draw(survey, np.full(50, np.nan), "mock", limits=limits).axes[0].images[0]
    assert image.get_extent() == [4000, 8000, 0, 5]
    assert image.origin == "lower"
    ((row, column),) = np.argwhere(~np.ma.getmaskarray(image.get_array()))
    n_row, n_column = image.get_array().shape
    assert 5.0 * row / n_row <= 1.2 <= 5.0 * (row + 1) / n_row
    assert 4000 + 4000 * column / n_column <= 4700.0 <= 4000 + 4000 * (column + 1) / n_column

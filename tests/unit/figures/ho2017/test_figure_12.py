"""Figure 12: [alpha/M] on the sky."""

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table

from labeltransfer.figures import sky
from labeltransfer.figures.ho2017 import figure_12
from tests.unit.figures.ho2017.mocks import words


def test_figure_12_shows_the_median_at_the_galactic_position():
    place = SkyCoord(90.0 * u.deg, 30.0 * u.deg, frame="galactic").icrs
    stars = Table({"ra": np.full(5, place.ra.deg), "dec": np.full(5, place.dec.deg)})
    stars["alpha_m"] = [0.1, 0.2, 0.9, 0.0, np.nan]
    figure = figure_12.draw(stars[:0], stars, "mock")
    alone, together = figure.axes[:2]
    assert not alone.images
    assert "no stars" in [text.get_text() for text in alone.texts]
    assert alone.get_title().endswith(" 0 stars")
    assert together.get_title().endswith(" 4 stars")
    picture = together.images[0].get_array()
    row, column = np.argwhere(~np.ma.getmaskarray(picture)).mean(axis=0) + 0.5
    x, y = column / picture.shape[1] * 4.0 - 2.0, row / picture.shape[0] * 2.0 - 1.0
    np.testing.assert_allclose((x, y), sky.mollweide(90.0, 30.0, 150.0), atol=0.03)
    np.testing.assert_allclose(picture.compressed(), 0.15)
    assert any("centre" in word for word in words(figure))

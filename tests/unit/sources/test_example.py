"""The star of Figure 2."""

import numpy as np
from astropy.table import Table

from labeltransfer.sources.example import example_row


def test_figure_2_has_a_star_even_if_the_wanted_one_is_not_there(capsys):
    stars = Table({"reference_id": ["x", "y", "z"], "snrg": [20.0, np.nan, 90.0]})
    assert example_row(stars, "y")["reference_id"] == "y"
    assert example_row(stars, "2M0")["reference_id"] == "z"
    assert "2M0 is not in the reference set" in capsys.readouterr().out
    stars["snrg"] = np.nan
    assert example_row(stars, None)["reference_id"] == "x"

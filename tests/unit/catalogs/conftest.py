"""Two small catalogues that several tests of this room share."""

import numpy as np
import pytest
from astropy.table import Table


@pytest.fixture
def sky():
    """Four stars of the survey, the first seen twice; two of them, and another, in the reference survey."""
    survey = Table(
        {
            "spectrum_id": ["a1", "a2", "b", "c", "d"],
            "path": ["p"] * 5,
            "obsid": np.arange(5),
            "ra": [10.0, 10.0 + 0.5 / 3600, 20.0, 30.0, 40.0],
            "dec": [0.0] * 5,
            "snrg": [20.0, 60.0, 30.0, np.nan, 50.0],
            "teff": [4500.0, 4510.0, 4600.0, 4700.0, np.nan],
        }
    )
    reference = Table(
        {
            "reference_id": ["A", "B", "Z"],
            "ra": [10.0, 20.0, 200.0],
            "dec": [0.1 / 3600, 0.0, 50.0],
            "teff": [4480.0, np.nan, 5000.0],
            "teff_err": [20.0, 30.0, 40.0],
            "aspcapflag": [0, 0, 0],
        }
    )
    return survey, reference

"""Tables with all that ours may hold."""

import numpy as np
from astropy import units as u
from astropy.table import Column, Table, vstack


def a_table():
    table = Table(
        {
            "id": ["spec-1.fits", "spec-22.fits"],
            "teff": Column([4800.5, np.nan], unit=u.K, description="effective temperature"),
            "logg": Column(np.array([2.5, 3.0], dtype="f4"), unit="dex"),
            "good": [True, False],
            "obsid": np.array([-1, 2**40]),
            "covariance": np.arange(18.0).reshape(2, 3, 3),
            "start": np.array([1, 2], dtype="i2"),
        }
    )
    table.meta["study"] = "mock"
    return table


def long_table(n=1000):
    table = vstack([a_table()] * (n // 2))
    table["id"] = [f"{'x' * (7 * i % 11)}{7 * i % n}" for i in range(n)]
    return table

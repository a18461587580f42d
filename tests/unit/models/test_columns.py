"""Labels as columns of tables."""

import numpy as np

from labeltransfer.models.columns import label_table


def test_errors_stand_beside_their_labels(cannon):
    model, flux, ivar, labels = cannon
    found = model.label(flux, ivar, starts=labels[:7])
    table = label_table(found, model.label_names, {"teff": "K", "logg": "dex"})
    assert table.colnames == ["teff", "teff_err", "logg", "logg_err"]
    np.testing.assert_array_equal(table["logg"], found.labels[:, 1])
    np.testing.assert_allclose(table["logg_err"] ** 2, found.covariance[:, 1, 1])
    assert [str(table[name].unit) for name in table.colnames] == ["K", "K", "dex", "dex"]

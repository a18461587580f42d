"""Labels that models find as columns of tables."""

import numpy as np
from astropy.table import Table


def label_table(found, names, units):
    """Labels and formal errors as columns.

    Parameters
    ----------
    found : Labels
        Of n stars, from a model.
    names : sequence of k str
    units : mapping of str to str
        Unit of each label.

    Returns
    -------
    Table
        `<label>` and `<label>_err`, one after the other.
    """
    formal = np.sqrt(np.diagonal(found.covariance, axis1=1, axis2=2))
    table = Table()
    for number, name in enumerate(names):
        table[name], table[f"{name}_err"] = found.labels[:, number], formal[:, number]
        table[name].unit = table[f"{name}_err"].unit = units[name]
    return table

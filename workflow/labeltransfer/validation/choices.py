"""Numbers that cross-validation chose, from the tables that say so."""

import pandas as pd


def chosen(path, column):
    """The number in the row of a table that was chosen: a ridge or a strength."""
    table = pd.read_csv(path)
    return float(table[column][table["chosen"]].iloc[0])

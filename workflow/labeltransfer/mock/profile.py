"""The profile of lines as the mock's instruments see them."""

import numpy as np


def gaussian(offset):
    """Gaussian of unit height at offsets in units of its full width at half maximum."""
    return np.exp(-4 * np.log(2) * offset**2)

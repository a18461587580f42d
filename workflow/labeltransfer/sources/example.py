"""The star whose spectra in both surveys Figure 2 of Ho et al. 2017 shows."""

import numpy as np


def example_row(stars, wanted):
    """The wanted star, or the reference star with the highest S/N where it is not in the set.

    Parameters
    ----------
    stars : Table
        The reference set, with `reference_id` and `snrg`; at least one star.
    wanted : str or None
        A reference_id.

    Returns
    -------
    Row
    """
    ids = np.asarray(stars["reference_id"]).tolist()
    if wanted in ids:
        return stars[ids.index(wanted)]
    print(f"{wanted} is not in the reference set; the star with the highest S/N stands in")
    snr = np.asarray(stars["snrg"], dtype=float)
    return stars[int(np.nanargmax(snr)) if np.isfinite(snr).any() else 0]

"""Positions on the sky."""

import numpy as np


def on_sky(ra, dec):
    """Which positions [deg] exist."""
    return (ra >= 0) & (ra <= 360) & (np.abs(dec) <= 90)


def unit_vectors(ra, dec):
    """Unit vectors of positions [deg], (..., 3); their distances are chords, which no pole or 0 h disturbs."""
    ra, dec = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)

"""Positions on the sky."""

import numpy as np


def on_sky(ra, dec):
    """Which positions [deg] exist."""
    return (ra >= 0) & (ra <= 360) & (np.abs(dec) <= 90)


def unit_vectors(ra, dec):
    """Unit vectors of positions [deg], (..., 3); their distances are chords, which no pole or 0 h disturbs."""
    ra, dec = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)


def separations(ra1, dec1, ra2, dec2):
    """Angles (n,) between positions [deg], row by row [arcsec]."""
    here, there = (unit_vectors(np.asarray(ra), np.asarray(dec)) for ra, dec in ((ra1, dec1), (ra2, dec2)))
    chord = np.linalg.norm(here - there, axis=-1)
    return np.degrees(2 * np.arcsin(np.clip(chord / 2, 0, 1))) * 3600

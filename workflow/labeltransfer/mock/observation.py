"""How the mock's LAMOST sees a star: dust, redshift, sampling, throughput, sky, noise and bad pixels.

The order is that of the light: nature's spectrum (already at the survey's resolution) is reddened and
redshifted, crosses the dust with its Na D and diffuse interstellar bands at the velocity of the cloud, the
air with its bands in the observed frame, and the instrument with its throughput; then come scattered light,
sky, noise and defects.

Spectra are moved to the observed grid by cubic-spline interpolation. Both grids are uniform in log
wavelength, so that a star has one sub-pixel shift for all pixels. For a Gaussian line with the width of R =
1800 (2.4 pixels) the error is at most 1.6 % of the line's depth, rms 0.5 % over the line (measured and
tested).
"""

from typing import NamedTuple

import numpy as np
from scipy.fft import dct, idct
from scipy.ndimage import spline_filter1d
from threadpoolctl import threadpool_limits

from labeltransfer.mock.nature import LABELS, continuum, normalised_flux
from labeltransfer.mock.profile import gaussian
from labeltransfer.surveys.grids import LOG_START, LOG_STEP, lamost_grid

MIN_PIXELS, MAX_PIXELS = 3890, 3909
SPEED_OF_LIGHT = 299792.458
_RESOLUTION = 1800.0
_BLOCK = 64
_CHANGES = 5

# A_V / A_K and E(B-V) / A_K of the extinction curve below with R_V = 3.1.
_AK_PER_AV = 0.1135
_EBV_PER_AK = 1.0 / (3.1 * _AK_PER_AV)

# Vacuum wavelength [A], FWHM [A], equivalent width [A] per magnitude of E(B-V). Strengths rounded from
# Friedman et al. 2011 (5780, 5797, 6283, 6614), Munari et al. 2008 (8621), Snow et al. 2002 (4428),
# Jenniskens and Desert 1994 (4882, 6203); Na D is the slope of Poznanski et al. 2012 near E(B-V) = 0.6,
# kept linear.
INTERSTELLAR = (
    (4429.4, 17.0, 1.9),
    (4883.4, 20.0, 0.8),
    (5782.1, 2.1, 0.50),
    (5798.7, 0.8, 0.17),
    (6204.8, 1.2, 0.20),
    (6285.5, 4.8, 1.10),
    (6615.4, 0.9, 0.22),
    (8623.2, 4.4, 0.37),
    (5891.6, 0.3, 1.2),
    (5897.6, 0.3, 0.95),
)
# Strength: vacuum wavelengths [A] of [O I], Na and OH sky lines (after Osterbrock et al. 1996, rounded).
_SKY = {
    40: (5578.9,),
    14: (6302.0,),
    12: (8888.3, 8922.0),
    10: (8432.4, 8829.5, 8960.6),
    9: (8401.5, 8780.4),
    8: (7915.8, 7966.9, 7995.6, 8346.9, 8770.1, 8852.3, 8870.2),
    7: (8454.6, 8467.7, 8793.4, 8905.7, 8945.9),
    6: (6365.5, 7342.9, 7796.3, 8990.8),
    5: (7278.3, 7752.6, 7823.4, 8027.7, 8507.0, 8838.7),
    4: (7318.3, 7951.4, 8417.5, 8495.7, 8763.0),
    3: (5891.6, 6925.2, 7360.7, 7855.5, 8063.9),
    2: (5897.6, 6865.7, 7404.2, 7717.6, 7843.4),
}
SKY_LINES = tuple((centre, strength) for strength, centres in _SKY.items() for centre in centres)
# First and last wavelength [A], optical depth at airmass 1: O2 B and A, water.
TELLURIC = (
    (6868, 6945, 0.22),
    (7180, 7340, 0.09),
    (7594, 7700, 0.70),
    (8130, 8350, 0.08),
    (8940, 9100, 0.25),
)
SNR_BANDS = {"u": (3710, 4000), "g": (4000, 5450), "r": (5600, 6950), "i": (6950, 8200), "z": (8200, 9000)}


class Conditions(NamedTuple):
    """How each of n spectra is taken; arrays of shape (n,).

    `uid` numbers the observation and, with the seed, fixes its random numbers whatever block it is computed
    in. `snr` is the median over the pixels of flux times the square root of the reported inverse variance.
    """

    uid: np.ndarray
    rv: np.ndarray
    a_k: np.ndarray
    cloud_rv: np.ndarray
    snr: np.ndarray
    n_pix: np.ndarray
    fibre: np.ndarray


class Observed(NamedTuple):
    """Spectra as the survey reduces them, on the longest grid: (n, 3909), beyond a star's n_pix without data.

    `wavelength` in vacuum Angstrom, heliocentric; `redshift` as measured; `n_bad` counts the injected bad
    pixels.
    """

    wavelength: np.ndarray
    flux: np.ndarray
    ivar: np.ndarray
    andmask: np.ndarray
    ormask: np.ndarray
    redshift: np.ndarray
    redshift_err: np.ndarray
    n_bad: np.ndarray


def extinction(wavelength):
    """A_lambda / A_K of Cardelli, Clayton and Mathis (1989) with R_V = 3.1, for 3300 to 9100 Angstrom."""
    y = np.maximum(1e4 / np.asarray(wavelength, dtype=float), 1.1) - 1.82
    a = np.polyval([0.32999, -0.77530, 0.01979, 0.72085, -0.02427, -0.50447, 0.17699, 1.0], y)
    b = np.polyval([-2.09002, 5.30260, -0.62251, -5.38434, 1.07233, 2.28305, 1.41338, 0.0], y)
    return (a + b / 3.1) / _AK_PER_AV


def interstellar_depth(wavelength):
    """Optical depth per magnitude of A_K of Na D and the diffuse bands, at rest and seen at R = 1800."""
    depth = np.zeros(len(wavelength))
    for centre, fwhm, width in INTERSTELLAR:
        seen = np.hypot(fwhm, centre / _RESOLUTION)
        depth += width / (1.0645 * seen) * gaussian((wavelength - centre) / seen)
    return depth * _EBV_PER_AK


def throughput(wavelength):
    """Relative efficiency of the two arms, with the dichroic between them."""
    blue = 1.0 / (1.0 + np.exp(-(wavelength - 4050.0) / 180.0))
    red = 1.0 / (1.0 + np.exp((wavelength - 8900.0) / 260.0))
    return 0.04 + blue * red * (1.0 - 0.15 * np.exp(-(((wavelength - 5850.0) / 140.0) ** 2)))


def observe(nature, labels, conditions, seed, settings):
    """Spectra of stars as the survey publishes them.

    Parameters
    ----------
    nature : Nature
        From `make_nature`.
    labels : Table or mapping
        Labels of nature, one row per spectrum.
    conditions : Conditions
        How each spectrum is taken.
    seed : int
        Of the universe.
    settings : dict
        error_inflation (reported over true standard deviation), bad_pixel_fraction (lowest, highest),
        scattered_light (mean fraction of the median flux), calibration_error (rms of the smooth relative
        error), sky_exponent (see `_sigma`), resolution (lowest and highest R of the fibres).

    Returns
    -------
    Observed
    """
    n_star = len(conditions.uid)
    parts = []
    for first in range(0, n_star, _BLOCK):
        rows = slice(first, first + _BLOCK)
        block = {name: np.asarray(labels[name], dtype=float)[rows] for name in LABELS}
        parts.append(
            _observe_block(nature, block, Conditions(*(c[rows] for c in conditions)), seed, settings)
        )
    if not parts:
        empty = np.zeros((0, MAX_PIXELS))
        masks = np.zeros((0, MAX_PIXELS), dtype=np.uint8)
        none = np.zeros(0)
        return Observed(
            lamost_grid(MAX_PIXELS), empty, empty.copy(), masks, masks.copy(), none, none, none.astype(int)
        )
    joined = (np.concatenate([getattr(part, name) for part in parts]) for name in Observed._fields[1:])
    return Observed(lamost_grid(MAX_PIXELS), *joined)


def expected_snr(nature, labels, conditions, sky_exponent, every=16):
    """Median S/N in u, g, r, i, z, from some pixels of the expected spectra; dict of (n,) arrays."""
    n_star = len(conditions.uid)
    pixels = slice(None, None, every)
    wavelength = nature.wavelength[pixels]
    out = {band: np.empty(n_star) for band in SNR_BANDS}
    fixed = _fixed(wavelength)
    for first in range(0, n_star, 16 * _BLOCK):
        rows = slice(first, first + 16 * _BLOCK)
        block = {name: np.asarray(labels[name], dtype=float)[rows] for name in LABELS}
        part = Conditions(*(c[rows] for c in conditions))
        light = normalised_flux(nature, block, pixels) * continuum(nature, block, pixels)
        light *= 10.0 ** (-0.4 * part.a_k[:, None] * fixed.extinction) * fixed.throughput
        light /= np.median(light, axis=1, keepdims=True)
        snr = light / _sigma(light, part.snr, fixed.sky, sky_exponent)
        for band, (low, high) in SNR_BANDS.items():
            out[band][rows] = np.median(snr[:, (wavelength >= low) & (wavelength < high)], axis=1)
    return out


class _Fixed(NamedTuple):
    extinction: np.ndarray
    throughput: np.ndarray
    sky: np.ndarray
    telluric: np.ndarray


def _fixed(wavelength):
    """What is the same for all stars, in the observed frame."""
    sky = 0.7 + 0.6 / (1.0 + np.exp((wavelength - 4300.0) / 150.0)) + 0.5 * (wavelength > 7700)
    for centre, strength in SKY_LINES:
        fwhm = centre / _RESOLUTION
        sky += strength * gaussian((wavelength - centre) / fwhm)
    telluric = np.zeros(len(wavelength))
    for low, high, depth in TELLURIC:
        # Strong lines towards the head of each band, and ripples as of unresolved lines.
        inside = (wavelength >= low) & (wavelength <= high)
        phase = (wavelength - low) / (high - low)
        shape = np.exp(-1.5 * phase) * (1.0 + 0.4 * np.cos(2 * np.pi * wavelength / 11.0))
        telluric += np.where(inside, depth * shape * np.clip(12 * np.minimum(phase, 1 - phase), 0, 1), 0.0)
    return _Fixed(extinction(wavelength), throughput(wavelength), sky, telluric)


def _sigma(light, snr, sky, sky_exponent):
    """Reported standard deviation of spectra in units of their median, for a median S/N of `snr`.

    Fainter stars have more sky under them: sky over star grows as (50 / snr) to a power that is 1 to 2 at a fixed
    exposure time. The shape of the noise changes with it, and where Eq. 1 weights with ivar the pseudo-continuum and
    the labels do too.
    """
    sky_level = 0.15 * (50.0 / snr[:, None]) ** sky_exponent
    sigma = np.sqrt(np.maximum(light, 0.0) + sky_level * sky)
    return sigma * (np.median(light / sigma, axis=1) / snr)[:, None]


def _observe_block(nature, labels, conditions, seed, settings):
    wavelength = lamost_grid(MAX_PIXELS)
    fixed = _fixed(wavelength)
    log_wave = LOG_START + LOG_STEP * np.arange(MAX_PIXELS)
    generators = [np.random.default_rng([seed, 71, int(uid)]) for uid in conditions.uid]
    z_true = conditions.rv / SPEED_OF_LIGHT

    light = normalised_flux(nature, labels) * continuum(nature, labels)
    light /= np.median(light, axis=1, keepdims=True)
    light = _shift(light, np.log10(nature.wavelength[0]), z_true)
    _resolve(light, wavelength, conditions.fibre, seed, settings["resolution"])
    depth = interstellar_depth(wavelength)
    cloud = np.log10(1.0 + conditions.cloud_rv / SPEED_OF_LIGHT)
    foreground = np.stack([np.interp(log_wave - shift, log_wave, depth) for shift in cloud])
    foreground += 0.4 * np.log(10.0) * fixed.extinction
    airmass = np.array([rng.uniform(0.8, 1.4) for rng in generators])[:, None]
    light *= np.exp(-conditions.a_k[:, None] * foreground - airmass * fixed.telluric) * fixed.throughput
    light *= _calibration(generators, settings["calibration_error"])
    light /= np.median(light, axis=1, keepdims=True)
    scatter = np.array([abs(rng.normal(1.0, 0.3)) for rng in generators]) * settings["scattered_light"]
    light = (light + scatter[:, None]) / (1.0 + scatter[:, None])

    sigma = _sigma(light, conditions.snr, fixed.sky, settings["sky_exponent"])
    ivar = sigma**-2
    redshift_err = (3.0 + 60.0 / conditions.snr) / SPEED_OF_LIGHT
    redshift = z_true + redshift_err * np.array([rng.standard_normal() for rng in generators])
    andmask = np.zeros(light.shape, dtype=np.uint8)
    ormask = np.zeros(light.shape, dtype=np.uint8)
    n_bad = np.zeros(len(generators), dtype=int)
    light += _sky_residuals(generators, wavelength, sigma, andmask, ormask)
    for i, rng in enumerate(generators):
        light[i] += sigma[i] / settings["error_inflation"] * rng.standard_normal(MAX_PIXELS)
        n_bad[i] = _bad_pixels(rng, settings, conditions.n_pix[i], light[i], ivar[i], andmask[i], ormask[i])
        beyond = slice(conditions.n_pix[i], None)
        light[i, beyond], ivar[i, beyond] = np.nan, 0.0
        # Counts per second have no meaning in the mock but span what the archive shows.
        level = 10.0 ** rng.uniform(2.0, 3.5)
        light[i] *= level
        ivar[i] /= level**2
    # Both releases carry no more digits than the shorter one.
    light, ivar = light.astype(np.float32), ivar.astype(np.float32)
    return Observed(wavelength, light, ivar, andmask, ormask, redshift, redshift_err, n_bad)


def _shift(spectra, log_first, redshift):
    """Cubic-spline values on the observed grid of spectra at rest, held constant where these end."""
    coefficients = spline_filter1d(spectra, order=3, axis=1, mode="mirror")
    last = spectra.shape[1] - 1
    out = np.empty((len(spectra), MAX_PIXELS))
    for row, z in enumerate(redshift):
        start = (LOG_START - np.log10(1.0 + z) - log_first) / LOG_STEP
        whole = int(np.floor(start))
        f = start - whole
        weights = ((1 - f) ** 3, 4 - 6 * f**2 + 3 * f**3, 1 + 3 * f + 3 * f**2 - 3 * f**3, f**3)
        # Pad by repetition where the star's rest frame is not covered; it is outside of the common grid.
        index = np.clip(np.arange(whole - 1, whole + MAX_PIXELS + 2), 0, last)
        c = coefficients[row, index]
        out[row] = sum(w * c[k : k + MAX_PIXELS] for k, w in enumerate(weights)) / 6.0
    return out


def fibre_resolution(fibre, wavelength, seed, limits):
    """R (n_pix,) of a fibre: a straight line in wavelength between two draws from the limits."""
    ends = np.random.default_rng([seed, 73, int(fibre)]).uniform(*limits, 2)
    return np.interp(wavelength, [wavelength[0], wavelength[-1]], ends)


def _resolve(light, wavelength, fibre, seed, limits):
    """Bring stars from nature's R to that of their fibres, in place; interstellar lines and sky keep nature's."""
    if limits[0] == limits[1] == _RESOLUTION:
        return
    sigma = 1 / (np.sqrt(8 * np.log(2)) * np.log(10) * LOG_STEP)  # of R = 1, in pixels
    low, high = (sigma**2 * (limit**-2.0 - _RESOLUTION**-2.0) for limit in limits[::-1])
    # Exact for some changes of the variance of lines, between which every pixel interpolates.
    changes = np.linspace(low, high, _CHANGES)
    wave = np.pi * np.arange(light.shape[1]) / light.shape[1]
    coefficients = dct(light, axis=1)
    resolved = np.array([idct(coefficients * np.exp(-0.5 * one * wave**2), axis=1) for one in changes])
    pixel, step = np.arange(light.shape[1]), (high - low) / (_CHANGES - 1) or 1.0
    for row, number in enumerate(fibre):
        resolution = fibre_resolution(number, wavelength, seed, limits)
        place = (sigma**2 * (resolution**-2.0 - _RESOLUTION**-2.0) - low) / step
        before = np.clip(place.astype(int), 0, _CHANGES - 2)
        part = place - before
        light[row] = (1 - part) * resolved[before, row, pixel] + part * resolved[before + 1, row, pixel]


def _calibration(generators, rms):
    """Smooth errors of the flux calibration: six waves over the spectrum with decreasing amplitude."""
    order = np.arange(1, 7)
    angle = order[:, None] * np.linspace(0.0, np.pi, MAX_PIXELS)
    draws = np.stack([rng.standard_normal((2, 6)) for rng in generators]) / order
    draws *= rms / np.sqrt(np.sum(1.0 / order**2))
    return np.exp(_product(draws.reshape(-1, 12), np.concatenate([np.cos(angle), np.sin(angle)])))


def _sky_residuals(generators, wavelength, sigma, andmask, ormask):
    """Imperfect subtraction of sky lines beyond the reported error, flagged in most spectra; (n, n_pix)."""
    centre, strength = np.array(SKY_LINES).T
    size = np.stack([rng.standard_normal(len(centre)) for rng in generators]) * np.where(
        strength < 10, 1.5, 5.0
    )
    flag = np.stack([rng.random(len(centre)) for rng in generators])
    offset = (wavelength - centre[:, None]) / (centre[:, None] / _RESOLUTION)
    # A residual has the shape of a line slightly shifted against the one that is subtracted.
    profile = gaussian(offset) * np.cos(2.5 * offset)
    core = np.abs(offset) < 1.2
    for line in range(len(centre)):
        pixels = np.flatnonzero(core[line])
        ormask[np.ix_(flag[:, line] < 0.7, pixels)] |= np.uint8(1)
        if strength[line] >= 10:
            andmask[np.ix_(flag[:, line] < 0.5, pixels)] |= np.uint8(1)
    return sigma * _product(size, profile)


def _product(rows, matrix):
    """Matrix product in a fixed shape, so that a row of it does not depend on how many there are."""
    padded = np.zeros((_BLOCK, rows.shape[1]))
    padded[: len(rows)] = rows
    with threadpool_limits(1):
        return (padded @ matrix)[: len(rows)]


def _bad_pixels(rng, settings, n_pix, flux, ivar, andmask, ormask):
    """Dead and hit pixels, single and in runs: ivar 0 and any flux, a few NaN. Returns their number."""
    wanted = round(rng.uniform(*settings["bad_pixel_fraction"]) * n_pix)
    lengths = np.minimum(rng.geometric(0.4, size=max(wanted, 1)), 8)
    lengths = lengths[: np.searchsorted(np.cumsum(lengths), wanted) + 1]
    bad = np.zeros(len(flux), dtype=bool)
    if wanted:
        starts = rng.integers(0, n_pix, len(lengths))
        bad[np.minimum(np.repeat(starts, lengths) + _ramp(lengths), n_pix - 1)] = True
    index = np.flatnonzero(bad)
    flux[index] = 20.0 * rng.standard_normal(len(index))
    flux[index[rng.random(len(index)) < 0.05]] = np.nan
    ivar[index] = 0.0
    # The survey's masks know only part of it: the reader has to trust ivar.
    andmask[index[rng.random(len(index)) < 0.5]] |= np.uint8(1)
    ormask[index] |= np.uint8(1)
    ormask[rng.integers(0, n_pix, 5)] |= np.uint8(64)
    return len(index)


def _ramp(lengths):
    """0, 1, ... within each run."""
    return np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)

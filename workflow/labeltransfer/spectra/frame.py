"""From the observed wavelengths of a spectrum to the common grid in the rest frame of the star."""

import numpy as np

VARIANCES = ("information", "propagate", "paper")
# A pixel this close to one of the grid (in pixels; 0.07 km/s for LAMOST) is taken as it is, so that the
# rounding of wavelengths does not make a bad pixel spoil two.
_SAME_PIXEL = 1e-3
# A pixel that would count less than this does not count, and may be bad.
_SMALL = 1e-3
_REACH = 3  # pixels: no interpolation reaches farther


def _linear(t):
    return {0: 1 - t, 1: t}


def _equal(t):
    # Linear interpolation smooths by t (1 - t) pixel^2. These four taps smooth every phase by 1/4 pixel^2, as that
    # does half way between two pixels, and are not skew: of a cubic P through the four pixels they give P + P'' / 8.
    return {
        -1: -t * (1 - t) * (2 - t) / 6 + (1 - t) / 8,
        0: (1 - t**2) * (2 - t) / 2 + (3 * t - 2) / 8,
        1: t * (1 + t) * (2 - t) / 2 + (1 - 3 * t) / 8,
        2: -t * (1 - t**2) / 6 + t / 8,
    }


def _cubic(t):
    # Keys (1981), IEEE Trans. ASSP 29, 1153, with a = -1/2: exact for parabolas.
    return {
        -1: -0.5 * t * (1 - t) ** 2,
        0: 1 + t**2 * (1.5 * t - 2.5),
        1: 0.5 * t + t**2 * (2 - 1.5 * t),
        2: -0.5 * t**2 * (1 - t),
    }


def _lanczos3(t):
    taps = {k: np.sinc(t - k) * np.sinc((t - k) / 3) for k in range(-2, 4)}
    total = sum(taps.values())
    return {k: weight / total for k, weight in taps.items()}


_TAPS = {"linear": _linear, "equal": _equal, "cubic": _cubic, "lanczos3": _lanczos3}
INTERPOLATIONS = tuple(_TAPS)


def taps(t, interpolation):
    """Weights of the pixels around a place between two: all that an interpolation does follows from them.

    Parameters
    ----------
    t : (n,) float64
        Sub-pixel phase: how far beyond the pixel before it a place is, from 0 to 1.
    interpolation : {"linear", "equal", "cubic", "lanczos3"}
        "linear" (section 2.1 of Ho et al. 2017) smooths by t (1 - t) pixel^2 in variance, so that a line depends on
        the phase of the star's velocity: at t = 1/2 a spectrum of R = 1800 is seen at R = 1620. "equal" smooths
        every phase as much as that one. "cubic" and "lanczos3" smooth none, and reach farther.

    Returns
    -------
    dict of int to (n,) float64
        Pixel, counted from the one before the place -> its weight; they add up to one. Weights below 0.001 are
        zero.

    Raises
    ------
    ValueError
        If there is no such interpolation.
    """
    if interpolation not in _TAPS:
        raise ValueError(f"interpolation must be one of {', '.join(INTERPOLATIONS)}: found {interpolation!r}")
    found = {k: np.where(np.abs(w) < _SMALL, 0.0, w) for k, w in _TAPS[interpolation](np.asarray(t)).items()}
    total = sum(found.values())
    return {k: weight / total for k, weight in found.items()}


def mean_smoothing(interpolation):
    """By how much an interpolation smooths on average over all phases: the variance of its taps [pixel^2]."""
    t = (np.arange(1000) + 0.5) / 1000
    return float(np.mean(sum(w * (k - t) ** 2 for k, w in taps(t, interpolation).items())))


def line_variance(resolution, grid):
    """Variance of a line of given R, in the middle of the grid [pixel^2]."""
    middle = len(grid) // 2
    return float((grid / np.gradient(grid))[middle] / resolution) ** 2 / (8 * np.log(2))


def smooth(flux, variance):
    """Spectra convolved with three taps of a given variance, as those that were interpolated.

    Parameters
    ----------
    flux : (n, n_pix) float64
        On the common grid. The pixels at its ends stay as they are.
    variance : float
        From `mean_smoothing` [pixel^2].

    Returns
    -------
    (n, n_pix) float64
    """
    out = np.array(flux, dtype=float)
    out[:, 1:-1] += 0.5 * variance * (flux[:, 2:] - 2 * flux[:, 1:-1] + flux[:, :-2])
    return out


def _places(wavelength, redshift, grid):
    """Where the pixels of the grid are among those of a spectrum, counted from 0; -1 where it does not reach."""
    place = np.interp(grid * (1 + redshift), wavelength, np.arange(len(wavelength)), left=-1.0, right=-1.0)
    nearest = np.rint(place)
    return np.where(np.abs(place - nearest) < _SAME_PIXEL, nearest, place)


def pixel_phase(wavelength, redshift, grid):
    """Sub-pixel phase of a spectrum at the middle of the grid: 0 on a pixel, 1/2 between two; NaN beyond it.

    Where both are logarithmic with the same step, as LAMOST's spectra and grid, it is the same all over the grid.
    """
    place = _places(wavelength, redshift, grid[len(grid) // 2 :][:1])[0]
    return float(place % 1) if place >= 0 else np.nan


def _slide(first, weights, parts, n_pix):
    """Sums of parts (n,) of a spectrum around pixels of the grid that follow one by one, with the same weights for all.

    Beyond its ends a spectrum has zeros. As many sums as weights: each part with weights of its own.
    """
    start, offsets = first + min(weights[0]), len(weights[0])
    stop = start + n_pix + offsets - 1
    low, high = np.clip((start, stop), 0, len(parts[0]))
    for part, weight in zip(parts, weights, strict=True):
        wide = np.zeros(stop - start)
        wide[low - start : high - start] = part[low:high]
        yield np.correlate(wide, list(weight.values()), "valid")


def _gather(left, weights, parts):
    """The same for any pixels of a spectrum (n_pix,) and weights (n_pix,)."""
    for part, weight in zip(parts, weights, strict=True):
        wide = np.pad(part, _REACH)
        yield sum(w * wide[left + (offset + _REACH)] for offset, w in weight.items())


def _one_step(place):
    """The pixel before the first place and the phase of all, if places follow one by one; else None."""
    if place[0] >= 0 and place[-1] >= 0:
        first = int(place[0])
        t = place - np.arange(first, first + len(place))
        low, high = t.min(), t.max()
        if low >= 0 and high < 1 and high - low < _SAME_PIXEL:
            return first, 0.5 * (low + high)
    return None


def to_common_grid(wavelength, flux, ivar, redshift, grid, variance="information", interpolation="linear"):
    """Shift a spectrum to the rest frame and interpolate it onto the grid.

    Parameters
    ----------
    wavelength : (n,) float64
        Observed, vacuum, increasing [Angstrom].
    flux, ivar : (n,) float64
        A pixel with ivar <= 0 or without a finite value is bad, and so is every grid pixel that would take
        any of its flux: nothing of it reaches its neighbours. The inputs stay as they are.
    redshift : float
        Z of the star; observed = rest (1 + Z).
    grid : (n_pix,) float64
        Rest wavelengths to interpolate at.
    variance : {"information", "propagate", "paper"}
        Interpolation with weights w averages pixels, which makes the noise smaller, by c = sum of w^2 in
        variance, and correlates neighbours. For linear interpolation c = (1 - t)^2 + t^2.
        "information" averages the variance instead, by abs(w), which leaves the sum of ivar, and so the formal
        errors of labels, as they were: for a line as narrow as LAMOST's resolution up to 4 % too large, else
        right. chi2 comes out low by c, which is 2/3 on average over t for linear interpolation and 0.5 to 0.6
        at any t for "equal". Where the grid's pixels are the narrower ones there are more of them than were
        observed, and ivar shrinks by the ratio of the widths.
        "propagate" gives each pixel its own variance, sum of w^2 var. chi2 is right; formal errors are too
        small by sqrt(c), for linear interpolation 0.81 on average and 0.71 at the worst, as correlations are
        left out.
        "paper" averages ivar itself; where it is smooth, that is the same as "information".
    interpolation : {"linear", "equal", "cubic", "lanczos3"}
        See `taps`.

    Returns
    -------
    flux, ivar : (n_pix,) float64
        Zero flux and zero ivar where there is nothing good.

    Raises
    ------
    ValueError
        If shapes disagree, the redshift is not finite, or variance rule or interpolation are unknown.
    """
    if variance not in VARIANCES:
        raise ValueError(f"variance must be one of {', '.join(VARIANCES)}: found {variance!r}")
    if not np.isfinite(redshift) or redshift <= -1:
        raise ValueError(f"no rest frame without a redshift: found {redshift!r}")
    if not wavelength.shape == flux.shape == ivar.shape:
        raise ValueError(f"shapes disagree: {wavelength.shape}, {flux.shape}, {ivar.shape}")
    with np.errstate(invalid="ignore"):
        good = (ivar > 0) & np.isfinite(ivar) & np.isfinite(flux)
    flux = np.where(good, flux, 0.0)
    noise = np.where(good, ivar, 0.0)
    if variance != "paper":
        np.divide(1.0, ivar, out=noise, where=good)
    place = _places(wavelength, redshift, grid)
    usable, step = place >= 0, _one_step(place)
    left = np.maximum(np.floor(place), 0.0)
    # Where pixels are in step the phases differ by how wavelengths are rounded alone.
    weight = taps(place - left if step is None else step[1], interpolation)
    size = {k: w**2 if variance == "propagate" else np.abs(w) for k, w in weight.items()}
    counts = {k: np.where(w != 0, 1.0, 0.0) for k, w in weight.items()}
    # Beyond its ends a spectrum has bad pixels.
    parts, weights = (flux, noise, good), (weight, size, counts)
    if step is None:
        out, spread, n_good = _gather(left.astype(np.int64), weights, parts)
    else:
        out, spread, n_good = _slide(step[0], weights, parts, len(grid))
    usable &= n_good == sum(counts.values())
    out = np.where(usable, out, 0.0)
    if variance != "propagate":
        spread /= sum(size.values())
    if variance == "paper":
        return out, np.where(usable, spread, 0.0)
    if variance == "information" and step is None:
        spread *= np.maximum(_widths(wavelength, place) / (np.gradient(grid) * (1 + redshift)), 1.0)
    return out, np.divide(1.0, spread, out=np.zeros_like(spread), where=usable & (spread > 0))


def _widths(wavelength, place):
    """Widths of a spectrum's pixels at places among them."""
    return np.interp(place, np.arange(len(wavelength)), np.gradient(wavelength))

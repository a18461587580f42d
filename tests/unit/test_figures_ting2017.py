"""The figures of Ting et al. 2017, drawn from mock arrays and tables whose statistics are known."""

import numpy as np
from astropy.table import Table

from labeltransfer.figures import ting2017
from labeltransfer.spectra.grid import common_grid
from labeltransfer.validation.gradient_correlation import gradient_correlation

LABELS = ting2017.LABELS
METHODS = ("no_prior", "l1", "prior")

#: Typical scatter of a mock label.
SCATTER = dict(
    zip(
        LABELS,
        (65, 0.14, 0.08, 0.12, 0.09, 0.06, 0.09, 0.06, 0.07, 0.09, 0.13, 0.08, 0.07, 0.06, 0.11, 0.07),
        strict=True,
    )
)
MG_B = (5168.8, 5174.1, 5185.0)


def mock_theory(wavelength, seed=1):
    """Mock gradients of all labels: Gaussian lines at random places, and Mg b for magnesium."""
    rng = np.random.default_rng(seed)
    gradients = np.zeros((len(LABELS), wavelength.size))
    for k, label in enumerate(LABELS):
        n_line = {"teff": 300, "logg": 120, "fe_h": 300, "ti_h": 150}.get(label, 60)
        sign = rng.choice([-1, 1], n_line, p=(0.2, 0.8)) if label in ("teff", "o_h") else -1
        depths = sign * rng.exponential(0.006, n_line)
        # Lines crowd in the blue, as in the sky.
        centres = 3905.0 + 5095.0 * rng.beta(0.9, 2.0, n_line)
        if label == "mg_h":
            centres, depths = np.append(centres, MG_B), np.append(depths, (-0.025, -0.04, -0.05))
        sigma = centres / 1800.0 / 2.355
        gradients[k] = depths @ np.exp(-0.5 * ((wavelength - centres[:, None]) / sigma[:, None]) ** 2)
    return gradients


def mock_spectrum(n_pixel=None, seed=2):
    """Wavelength, flux, error and model of a mock star with noise of its error, and a few bad pixels."""
    rng = np.random.default_rng(seed)
    wavelength = common_grid()[:n_pixel]
    model = 1.0 + 6.0 * mock_theory(wavelength)[LABELS.index("fe_h")] + 3.0 * mock_theory(wavelength)[5]
    model = 1.02 * np.clip(model, 0.3, None)
    error = 0.008 + 0.03 * np.exp(-(wavelength - 3905.0) / 400.0)
    flux = model + error * rng.normal(size=wavelength.size)
    error[2000:2020] = np.inf
    flux[2015:2030] = np.nan
    return wavelength, flux, error, model


def mock_comparison(n_train, n_test, seed=3):
    """A mock table of giants with correlated abundances, labelled with errors that we know."""
    rng = np.random.default_rng(seed)
    n_star = n_train + n_test
    fe_h = np.where(rng.random(n_star) < 0.3, rng.normal(-0.5, 0.3, n_star), rng.normal(-0.1, 0.2, n_star))
    alpha = np.clip(-0.25 * fe_h, 0.0, 0.3)
    logg = np.where(rng.random(n_star) < 0.35, rng.normal(2.45, 0.07, n_star), 3.0 * rng.beta(4, 1.6, n_star))
    table = Table({"trained": np.arange(n_star) < n_train})
    for label in LABELS:
        if label == "teff":
            true = 3790.0 + 385.0 * logg - 260.0 * fe_h + rng.normal(0.0, 35.0, n_star)
        elif label == "logg":
            true = logg
        else:
            follows = alpha if label in ("o_h", "mg_h", "si_h", "ca_h", "ti_h") else 0.0
            true = fe_h + follows + rng.normal(0.0, 0.04, n_star)
        table[f"{label}_apogee"] = true
        width = np.where(table["trained"], 0.6, 1.0 + 0.5 * rng.exponential(size=n_star))
        table[f"{label}_here"] = true + SCATTER[label] * width * rng.normal(size=n_star)
    return table


def mock_gradients(wavelength, theory, seed=4):
    """Gradients of three mock methods, ever closer to theory, and their correlations with it."""
    rng = np.random.default_rng(seed)
    aliases = mock_theory(wavelength, seed=9)[::-1]
    gradients = {
        "prior": 0.85 * theory + 0.05 * aliases,
        "no_prior": 0.35 * theory + 0.5 * aliases + rng.normal(0.0, 0.004, theory.shape),
        "l1": 0.3 * theory + 0.35 * aliases + rng.normal(0.0, 0.0015, theory.shape),
    }
    return gradients, {name: gradient_correlation(found, theory) for name, found in gradients.items()}


def mock_figure_03(archive_kind, n_pixel=None, **options):
    """Figure 3 of mock gradients."""
    wavelength = common_grid()[:n_pixel]
    theory = mock_theory(wavelength)
    return ting2017.figure_03(
        wavelength, theory, *mock_gradients(wavelength, theory), LABELS, archive_kind, **options
    )


def mock_scan(labels=LABELS, seed=5):
    """A mock scan of D_scale: scatter grows with it, correlations go to 1."""
    rng = np.random.default_rng(seed)
    rows = []
    for label in labels:
        worst, start = 1.8 + rng.exponential(0.6), rng.uniform(0.2, 0.75)
        for d_scale in (0.0, 0.1, 1.0, 10.0, 100.0, 1000.0):
            gain = d_scale / (d_scale + 8.0)
            rows.append((d_scale, label, 1.0 + (worst - 1.0) * gain, start + (0.97 - start) * gain**0.5))
    return Table(
        rows=rows or None,
        names=("d_scale", "label", "scatter_ratio", "correlation"),
        dtype=(float, str, float, float),
    )


def mock_bounds(labels=LABELS, all_snr=(30.0, 50.0, 100.0), seed=6):
    """Mock Cramer-Rao bounds that fall as 1/SNR, with a floor in what was measured."""
    rng = np.random.default_rng(seed)
    rows = []
    for label in labels:
        theory = 0.5 * SCATTER[label] * rng.uniform(0.7, 1.3)
        for snr in all_snr:
            bound = theory * 30.0 / snr
            measured = np.hypot(SCATTER[label] * 30.0 / snr, 0.5 * SCATTER[label])
            rows.append((label, snr, bound, bound * 1.25, measured))
    return Table(
        rows=rows or None,
        names=("label", "snr", "bound_theory", "bound_model", "measured"),
        dtype=(str, float, float, float, float),
    )


def mock_shifts(labels=LABELS[2:], methods=("no_prior", "quadratic", "l1", "prior"), seed=7):
    """A mock shift test: the prior's model follows a shift, the others in part."""
    rng = np.random.default_rng(seed)
    mean = {"no_prior": 0.45, "quadratic": 0.4, "l1": 0.35, "prior": 0.92}
    rows = [
        (label, method, shift, rng.normal(mean.get(method, 0.5), 0.25 if method != "prior" else 0.07), 0.04)
        for label in labels
        for method in methods
        for shift in (-0.3, 0.3)
    ]
    return Table(
        rows=rows or None,
        names=("label", "method", "shift", "recovered_fraction", "error"),
        dtype=(str, str, float, float, float),
    )


DRAW = {
    "figure_01": lambda kind: ting2017.figure_01(
        *mock_spectrum(), kind, star="mock star", labels={"teff": 4712.0, "logg": 2.41, "fe_h": -0.21}
    ),
    "figure_02": lambda kind: ting2017.figure_02(mock_comparison(60, 150), kind),
    "figure_03": mock_figure_03,
    "figure_d_scale": lambda kind: ting2017.figure_d_scale(mock_scan(), kind),
    "figure_cramer_rao": lambda kind: ting2017.figure_cramer_rao(mock_bounds(), kind),
    "figure_shift_test": lambda kind: ting2017.figure_shift_test(mock_shifts(), kind),
}

"""Mock tables whose statistics are known, and what stands in the figures drawn from them."""

import numpy as np
from astropy.table import Table
from matplotlib.text import Text

from labeltransfer.figures.ting2017.common import LABELS
from labeltransfer.figures.ting2017.figure_03 import Gradients

METHODS = ("prior", "no_prior", "l1", "quadratic")


ABUNDANCES = LABELS[2:]


def mock_spectrum():
    rng = np.random.default_rng(1)
    wavelength = np.linspace(3905.0, 9000.0, 3000)
    model = 1 - 0.3 * np.exp(-0.5 * ((wavelength - 5175.0) / 8.0) ** 2)
    error = np.full(wavelength.size, 0.02)
    flux = model + error * rng.standard_normal(wavelength.size)
    flux[100:120] = np.nan
    return wavelength, flux, error, model


def mock_comparison(n_train=40, n_test=160, scatter=0.1, bias=0.05):
    rng = np.random.default_rng(2)
    n = n_train + n_test
    table = Table({"trained": np.arange(n) < n_train})
    for name in LABELS:
        unit = 1000.0 if name == "teff" else 1.0
        table[f"{name}_apogee"] = unit * rng.normal(0.0, 0.3, n)
        table[f"{name}_here"] = table[f"{name}_apogee"] + unit * rng.normal(bias, scatter, n)
    return table


def mock_gradients():
    rng = np.random.default_rng(3)
    wavelength = np.linspace(5000.0, 5400.0, 300)
    theory = 0.01 * rng.standard_normal((len(LABELS), 300))
    noise = {"prior": 0.2, "no_prior": 1.0, "l1": 2.0, "quadratic": 5.0}
    gradients = {m: theory + 0.01 * s * rng.standard_normal(theory.shape) for m, s in noise.items()}
    correlations = {
        m: np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(g, theory, strict=True)])
        for m, g in gradients.items()
    }
    return Gradients(wavelength, theory, gradients, correlations, LABELS)


def mock_scan():
    rng = np.random.default_rng(4)
    rows = [
        (d, name, 1.0 if d == 0 else rng.uniform(0.7, 2.0), 1 - rng.random() / (1 + d))
        for d in (0.0, 1.0, 10.0, 100.0)
        for name in LABELS
    ]
    return Table(rows=rows, names=("d_scale", "label", "scatter_ratio", "correlation"))


def mock_bounds():
    rng = np.random.default_rng(5)
    rows = []
    for name in LABELS:
        for snr in (30.0, 100.0):
            bound = (60.0 if name == "teff" else rng.uniform(0.03, 0.1)) * 30.0 / snr
            rows.append((name, snr, bound, 1.2 * bound, 3.0 * bound))
    return Table(rows=rows, names=("label", "snr", "bound_theory", "bound_model", "measured"))


def mock_shifts():
    rng = np.random.default_rng(6)
    found = {"prior": 1.0, "no_prior": 0.8, "l1": 1.1, "quadratic": 0.2}
    rows = [
        (name, method, shift, found[method] + 0.05 * rng.standard_normal(), 0.03)
        for name in ABUNDANCES
        for method in METHODS
        for shift in (-0.3, 0.3)
    ]
    return Table(rows=rows, names=("label", "method", "shift", "recovered_fraction", "error"))


def drawn(figure):
    figure.canvas.draw()
    return figure


def texts(figure):
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]


def words(figure):
    return "\n".join(text.get_text() for text in texts(figure))


def with_gid(axes, gid):
    return [text.get_text() for text in axes.findobj(Text) if text.get_gid() == gid]

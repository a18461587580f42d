"""Which order of the polynomial predicts spectra and labels best of stars that the model had not seen."""

import numpy as np
import pandas as pd

from labeltransfer.models.data import weights
from labeltransfer.models.polynomial import polynomial
from labeltransfer.validation.held_out import held_out_labels
from labeltransfer.validation.statistics import bias_and_scatter

ORDERS = (1, 2, 3)
_STARS_PER_TERM = 3  # training stars for each coefficient, below which an order is not tried


def possible_orders(n_label, n_star):
    """Those of `ORDERS` whose coefficients are few enough for so many training stars."""
    return [o for o in ORDERS if n_star >= _STARS_PER_TERM * len(polynomial(n_label, o).parent)]


def log_likelihood(models, flux, ivar, labels, tests, usable):
    """Logarithm of the likelihood of each spectrum, given its reference labels, by the model that had not seen it.

    Parameters
    ----------
    models : sequence of labeltransfer.models.cannon.CannonModel
        One for each test.
    flux, ivar : (n, p) arrays
    labels : (n, k) array
    tests : sequence of (n,) bool arrays
    usable : (p,) bool array
        Pixels that count.

    Returns
    -------
    (n,) float64
        Eq. 5 of Ho et al. 2017, up to a constant of the spectrum; NaN for stars in no test.
    """
    found = np.full(len(flux), np.nan)
    for model, test in zip(models, tests, strict=True):
        inverse, seen = ivar[test][:, usable].astype(float), flux[test][:, usable].astype(float)
        good = np.isfinite(inverse) & (inverse > 0) & np.isfinite(seen)
        inverse = np.where(good, inverse, 0.0)
        residual = np.where(good, seen - model.predict(labels[test])[:, usable], 0.0)
        s2 = model.scatter[usable] ** 2
        terms = weights(inverse, s2) * residual**2 + np.log(1.0 + inverse * s2)
        found[test] = -0.5 * terms.sum(axis=1)
    return found


def orders_table(spectra, labels, names, tests, train, how):
    """Likelihood of spectra, and bias and scatter of labels, by the order of the model.

    Parameters
    ----------
    spectra : (flux, ivar)
        (n, p) arrays.
    labels : (n, k) array
        Reference labels.
    names : sequence of k str
    tests : sequence of (n,) bool arrays
        Stars of each fold.
    train : dict of int to callable
        By order, as for `labeltransfer.validation.held_out.held_out_labels`.
    how : dict
        Further arguments of that function, `trainable` among them.

    Returns
    -------
    DataFrame
        A row for each order and label. `gain` is the mean, over the stars that may be trained on, of the logarithm
        of the likelihood of a spectrum over that by the first order, with its error; `better` the share of stars for
        which it is higher.
    """
    found = {order: held_out_labels(*spectra, labels, tests, train[order], **how) for order in train}
    usable = np.all([model.usable for one in found.values() for model in one.models], axis=0)
    likelihood = {
        order: log_likelihood(one.models, *spectra, labels, tests, usable) for order, one in found.items()
    }
    rows, first = [], likelihood[min(likelihood)]
    for order, one in found.items():
        gain = (likelihood[order] - first)[how["trainable"]]
        gain = gain[np.isfinite(gain)]
        about = {
            "order": order,
            "coefficients": len(polynomial(len(names), order).parent),
            "pixels": np.count_nonzero(usable),
            "gain": gain.mean(),
            "gain_err": gain.std() / np.sqrt(len(gain)),
            "better": np.mean(gain > 0),
        }
        for j, name in enumerate(names):
            residual = np.where(one.converged, one.labels[:, j] - labels[:, j], np.nan)
            bias, scatter = bias_and_scatter(residual, "robust")
            kept = bias_and_scatter(residual[how["trainable"]])[1]
            rows.append(
                {**about, "label": name, "n": np.isfinite(residual).sum(), "bias": bias}
                | {"robust_scatter": scatter, "scatter_trained": kept}
            )
    return pd.DataFrame(rows)

"""Orders of the model compared on stars that it had not seen."""

from functools import partial

import numpy as np
import pytest
from scipy.stats import norm

from labeltransfer.models.cannon import train
from labeltransfer.models.polynomial import polynomial, vectorize
from labeltransfer.validation.orders import log_likelihood, orders_table, possible_orders

NAMES = ("teff", "logg")


def nature(rng, n_star=300, n_pix=60, order=2):
    """Spectra that are a polynomial of some order in two labels."""
    x = rng.standard_normal((n_star, 2))
    terms = polynomial(2, order)
    theta = 0.03 * rng.standard_normal((n_pix, len(terms.parent)))
    sigma = 0.01 * rng.uniform(0.5, 2, (n_star, 1))
    flux = 1 + vectorize(x, terms) @ theta.T + np.hypot(sigma, 0.005) * rng.standard_normal((n_star, n_pix))
    ivar = np.broadcast_to(sigma**-2, flux.shape).copy()
    ivar[rng.random(flux.shape) < 0.05] = 0
    return flux, ivar, 4800 + np.array([300, 0.5]) * x


def test_likelihood_is_that_of_gaussians(rng):
    flux, ivar, labels = nature(rng)
    test = np.arange(300) < 20
    model = train(flux[~test], ivar[~test], labels[~test], label_names=NAMES)
    usable = np.arange(60) > 5
    found = log_likelihood([model], flux, ivar, labels, [test], usable)
    assert np.isnan(found[~test]).all()
    for star in range(20):
        good = usable & (ivar[star] > 0)
        variance = 1 / ivar[star][good] + model.scatter[good] ** 2
        expected = norm.logpdf(
            flux[star][good], model.predict(labels[[star]])[0][good], np.sqrt(variance)
        ).sum()
        constant = 0.5 * np.sum(np.log(ivar[star][good] / (2 * np.pi)))
        assert found[star] == pytest.approx(expected - constant)
    flux[:20][ivar[:20] == 0] = np.nan
    np.testing.assert_array_equal(log_likelihood([model], flux, ivar, labels, [test], usable), found)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_order_of_nature_is_found(rng, order):
    flux, ivar, labels = nature(rng, order=order)
    fold = np.arange(300) % 3
    tests = [fold == number for number in range(3)]

    def trained(o, rows):
        return train(flux[rows], ivar[rows], labels[rows], label_names=NAMES, order=o, scatter="reml")

    orders = {o: partial(trained, o) for o in (1, 2, 3)}
    how = {"trainable": np.ones(300, dtype=bool), "starts": labels[:10]}
    table = orders_table((flux, ivar), labels, NAMES, tests, orders, how)
    gains = table.groupby("order")["gain"].first()
    assert gains.idxmax() == order
    assert gains[1] == 0
    best = table.set_index(["order", "label"]).loc[(order, "teff")]
    assert best["gain_err"] < 0.2 * best["gain"] or order == 1
    if order > 1:
        assert (
            table.set_index(["order", "label"]).loc[(1, "teff"), "robust_scatter"]
            > 1.5 * best["robust_scatter"]
        )
    assert table["coefficients"].unique().tolist() == [3, 6, 10]


def test_orders_need_stars_for_their_coefficients():
    assert possible_orders(5, 1000) == [1, 2, 3]
    assert possible_orders(5, 100) == [1, 2]
    assert possible_orders(5, 10) == []

"""Labels from models that had not seen the stars."""

import numpy as np

from labeltransfer.models.cannon import train
from labeltransfer.validation.held_out import held_out_labels


def linear(flux, ivar, labels):
    """Trains a linear model on some of the stars."""

    def train_on(rows):
        return train(flux[rows], ivar[rows], labels[rows], label_names=("teff", "logg"), order=1)

    return train_on


def test_held_out_labels_come_from_a_model_that_never_saw_the_star(cannon):
    _, flux, ivar, labels = cannon
    test, trainable = np.arange(60) < 10, np.arange(60) != 50
    how = {"trainable": trainable, "starts": labels[:7]}
    found = held_out_labels(flux, ivar, labels, [test], linear(flux, ivar, labels), **how)
    assert np.isfinite(found.labels[test]).all()
    assert found.converged[test].all()
    assert np.isnan(found.labels[~test]).all()
    assert not found.converged[~test].any()
    # Nonsense labels of the test stars and of the clipped star change nothing.
    nonsense = labels.copy()
    nonsense[test | ~trainable] = [9000.0, -3.0]
    again = held_out_labels(flux, ivar, nonsense, [test], linear(flux, ivar, nonsense), **how)
    np.testing.assert_array_equal(again.labels, found.labels)
    nonsense[30] = [9000.0, -3.0]
    moved = held_out_labels(flux, ivar, nonsense, [test], linear(flux, ivar, nonsense), **how)
    assert np.nanmax(np.abs(moved.labels - found.labels)) > 1


def test_every_fold_is_labelled_by_its_own_model(cannon):
    _, flux, ivar, labels = cannon
    fold = np.arange(60) % 4
    found = held_out_labels(flux, ivar, labels, [fold == k for k in range(4)], linear(flux, ivar, labels))
    assert len(found.models) == 4
    assert np.isfinite(found.errors).all()
    one = held_out_labels(flux, ivar, labels, [fold == 2], linear(flux, ivar, labels))
    np.testing.assert_array_equal(found.labels[fold == 2], one.labels[fold == 2])

"""Reference stars that the model does not give back."""

import numpy as np

from labeltransfer.models.cannon import train
from labeltransfer.models.clip import borne_out, self_clip, train_with_clip
from tests.unit.models.cannon.stars import NAMES, mock_model, mock_stars


def test_self_clip_drops_the_outliers_of_each_label():
    labels_in = np.zeros((2000, 2))
    labels_out = np.random.default_rng(3).standard_normal((2000, 2)) * [100, 0.1]
    labels_out = np.clip(labels_out, [-250, -0.25], [250, 0.25])
    labels_out[10, 0] = 900
    labels_out[20, 1] = -0.9
    labels_out[30] = np.nan
    keep = self_clip(labels_in, labels_out)
    np.testing.assert_array_equal(np.flatnonzero(~keep), [10, 20, 30])
    scatter = labels_out[np.isfinite(labels_out[:, 0]), 0].std()
    edge = np.flatnonzero(self_clip(labels_in, labels_out, n_sigma=2) & keep)
    assert np.abs(labels_out[edge, 0]).max() <= 2 * scatter
    assert not self_clip(np.zeros((2, 1)), np.full((2, 1), np.nan)).any()


def test_training_with_the_clip_removes_wrong_labels(rng):
    nature = mock_model(rng, NAMES[:3])
    flux, ivar, truth = mock_stars(rng, nature, 800)
    labels = truth.copy()
    labels[:8, 1] += 3.0  # in log g, far more than the scatter

    def train_on(keep):
        return train(flux[keep], ivar[keep], labels[keep], label_names=NAMES[:3])

    model, keep, first = train_with_clip(train_on, flux, ivar, labels, threads=2)
    assert not keep[:8].any()
    assert keep[8:].mean() > 0.98
    np.testing.assert_array_equal(keep, self_clip(labels, first.labels))
    again = train_on(keep)
    assert model.theta.tobytes() == again.theta.tobytes()


def test_errors_that_exceed_all_scatter_are_not_borne_out(rng):
    labels = rng.standard_normal((400, 3))
    out = labels + [0.1, 0.1, 0.1] * rng.standard_normal(labels.shape)
    out[0] = np.nan  # a star without labels
    out[1] += 50.0  # and an outlier, which is no scatter
    errors = np.full((400, 3), [0.05, 0.2, 0.0])
    assert borne_out(labels, out, errors).tolist() == [True, False, True]
    # Of the stars that have errors.
    errors[:200] = 0.0
    assert borne_out(labels, out, errors).tolist() == [True, False, True]

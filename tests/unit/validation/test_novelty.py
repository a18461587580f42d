"""How far labels lie from the reference set."""

import numpy as np
import pytest

from labeltransfer.validation.novelty import novelty, reference_labels


def test_novelty_is_one_at_the_edge_of_the_reference_set(rng):
    reference = rng.standard_normal((4000, 2)) * [100.0, 0.5] + [4800.0, 2.5]
    here = np.vstack([reference[:2000], [[9000.0, 2.5], [np.nan, 2.5]]])
    found = novelty(here, reference_labels(reference))
    assert (found[:2000] <= 1).mean() == pytest.approx(0.99, abs=0.01)
    assert found[2000] > 10
    assert np.isnan(found[2001])


def test_novelty_does_not_depend_on_units(rng):
    reference, here = rng.standard_normal((50, 3)), rng.standard_normal((20, 3))
    units = np.array([1000.0, 1.0, 1e-3])
    scaled = novelty(here * units + 5, reference_labels(reference * units + 5))
    np.testing.assert_allclose(scaled, novelty(here, reference_labels(reference)), rtol=1e-9)

"""Preparation of every real LAMOST spectrum at hand: all layouts, two releases of one object, repeats."""

import csv

import numpy as np
import pytest

from labeltransfer.spectra.grid import common_grid
from labeltransfer.spectra.masks import read_windows
from labeltransfer.spectra.normalise import banded_kernel
from labeltransfer.spectra.prepare import NO_FLUX, NO_REDSHIFT, TOO_FEW_PIXELS, Settings, prepare

pytestmark = pytest.mark.real

SAME_OBJECT = "lamost_same_object_two_releases_cmost/{}/spec-55859-F5902_sp01-005.fits.gz"


@pytest.fixture(scope="module")
def index(real_data):
    """INDEX.csv, by path below the folder of spectra."""
    with open(real_data / "lamost_spectra" / "INDEX.csv", newline="") as file:
        return {f"{row['collection']}/{row['file']}": row for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def settings(root):
    grid = common_grid()
    windows = read_windows(
        *(root / "resources" / "masks" / f"{name}.csv" for name in ("telluric", "sky_lines"))
    )
    # "propagate" gives each pixel its own variance, which is what comparisons pixel by pixel need.
    return Settings(grid, banded_kernel(grid), windows, variance="propagate")


def prepared(real_data, paths, settings):
    """Normalised spectra of files, with the rows of the stars and the reasons of the others."""
    files = [str(real_data / "lamost_spectra" / path) for path in paths]
    flux, ivar, stars, rejected = {}, {}, {}, {}
    for f, i, table, lost in prepare(list(paths), files, settings, block=256):
        for row, star in enumerate(table):
            flux[star["id"]], ivar[star["id"]], stars[star["id"]] = f[row], i[row], star
        rejected.update(lost)
    return flux, ivar, stars, rejected


@pytest.fixture(scope="module")
def everything(real_data, index, settings):
    return prepared(real_data, index, settings)


def chi(one, other, flux, ivar):
    """Difference over its error in the pixels that both have."""
    both = (ivar[one] > 0) & (ivar[other] > 0)
    difference = (flux[one] - flux[other])[both].astype(float)
    return difference / np.sqrt(1 / ivar[one][both].astype(float) + 1 / ivar[other][both])


def robust_width(x):
    return 1.4826 * np.median(np.abs(x - np.median(x)))


def test_every_file_of_every_layout_is_prepared_or_has_a_reason(everything, index):
    flux, _, _, rejected = everything
    assert len(index) == 1152
    assert set(flux) | set(rejected) == set(index)
    assert not set(flux) & set(rejected)
    assert set(rejected.values()) <= {NO_REDSHIFT, TOO_FEW_PIXELS, NO_FLUX}
    unknown = {path for path, row in index.items() if float(row["z"]) < -9000}
    assert len(unknown) == 8
    assert {path for path, reason in rejected.items() if reason == NO_REDSHIFT} == unknown
    assert len(flux) > 1100
    assert {index[path]["layout"] for path in flux} == {"L0", "L1", "L2", "L3"}


def test_normalised_spectra_are_finite_and_about_one(everything):
    flux, ivar, stars, _ = everything
    for path in flux:
        good = ivar[path] > 0
        assert np.all(np.isfinite(flux[path]) & np.isfinite(ivar[path])), path
        assert np.all(flux[path][~good] == 1), path
        if stars[path]["snr"] > 5:  # fainter ones wander by their noise
            assert np.median(flux[path][good]) == pytest.approx(1, abs=0.02), path


def test_one_object_in_two_releases(everything):
    flux, ivar, stars, _ = everything
    dr5, dr9 = (SAME_OBJECT.format(release) for release in ("dr5", "dr9"))
    assert abs(stars[dr5]["redshift"] - stars[dr9]["redshift"]) < 3e-5  # 9 km/s
    # The same photons reduced twice: closer than two observations would be.
    assert robust_width(chi(dr5, dr9, flux, ivar)) < 1
    both = (ivar[dr5] > 0) & (ivar[dr9] > 0)
    assert np.corrcoef(flux[dr5][both], flux[dr9][both])[0, 1] > 0.9


def test_repeats_agree_within_their_noise(everything, index):
    flux, ivar, stars, _ = everything
    groups = {}
    for path, row in index.items():
        if row["collection"] == "lamost_layout2_dr8_repeats_ccf" and path in flux:
            groups.setdefault(row["star"], []).append(path)
    pairs = [(group[0], other) for group in groups.values() for other in group[1:]]
    widths = np.array([robust_width(chi(one, other, flux, ivar)) for one, other in pairs])
    assert len(pairs) > 70
    assert 0.85 < np.median(widths) < 1.15
    assert np.mean(widths < 1.5) > 0.9
    assert min(stars[path]["snr"] for pair in pairs for path in pair) > 10

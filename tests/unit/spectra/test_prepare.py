"""From files to normalised spectra: masks in their frames, reasons, S/N, and blocks that change nothing."""

import gzip
import tracemalloc

import numpy as np
import pytest
from astropy.io import fits

from labeltransfer.files.errors import ArchiveError
from labeltransfer.spectra.grid import common_grid
from labeltransfer.spectra.masks import Window
from labeltransfer.spectra.normalise import banded_kernel
from labeltransfer.spectra.prepare import (
    NO_FLUX,
    NO_REDSHIFT,
    TOO_FEW_PIXELS,
    Settings,
    on_grid,
    prepare,
    signal_to_noise,
)
from labeltransfer.spectra.store import read_stores, write_store
from labeltransfer.surveys.base import Spectrum
from labeltransfer.surveys.grids import lamost_grid
from labeltransfer.surveys.lamost import read_spectrum

GRID = common_grid()
WINDOWS = [Window("air", 7590.0, 7705.0, "observed", ""), Window("core", 5000.0, 5020.0, "rest", "")]


@pytest.fixture(scope="module")
def settings():
    return Settings(GRID, banded_kernel(GRID), WINDOWS)


def observed(seed=0, snr=50.0, n=3909):
    """Flux, ivar, wavelength and flags of a spectrum with lines, noise and 1 % bad pixels."""
    rng = np.random.default_rng(seed)
    wavelength = lamost_grid(n)
    shape = 500 * (1 + 0.2 * np.sin(wavelength / 900))
    flux = shape * (1 - 0.5 * (rng.random(n) < 0.05) + rng.normal(0, 1 / snr, n))
    ivar = (snr / shape) ** 2
    ivar[rng.random(n) < 0.01] = 0
    return np.array([flux, ivar, wavelength, np.zeros(n), np.zeros(n)])


def spectrum(data, z=1e-4):
    flux, ivar, wavelength, andmask, ormask = data.copy()
    andmask, ormask = andmask.astype(np.uint32), ormask.astype(np.uint32)
    return Spectrum(wavelength, flux, ivar, andmask, ormask, z, 0.0, "spec-55859-F5902_sp01-001.fits")


def write_file(path, data, z=1e-4):
    """A gzipped file of layout L2."""
    hdu = fits.PrimaryHDU(data.astype(np.float32))
    hdu.header["EXTEN0"] = "Flux, Inverse, Wavelength, Andmask, Ormask"
    hdu.header["Z"] = z
    hdu.writeto(path)
    path.write_bytes(gzip.compress(path.read_bytes(), 1))
    return path


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Ids, paths and the reason expected of each, good ones (None) and bad ones mixed."""
    folder = tmp_path_factory.mktemp("archive")
    good = observed()
    few, dark, nan, flagged = (observed(i) for i in (90, 91, 92, 93))
    few[1, : int(0.6 * few.shape[1])] = 0
    dark[0] = -np.abs(dark[0])
    nan[0] = np.nan
    flagged[3] = 1
    files = [(f"good{i}", observed(i, 20.0 + 5 * i), 1e-4 * i, None) for i in range(9)]
    files[2:2] = [
        ("no-z", good, -9999.0, NO_REDSHIFT),
        ("nan-z", good, None, NO_REDSHIFT),
        ("few", few, 1e-4, TOO_FEW_PIXELS),
        ("far", good, 1.5, TOO_FEW_PIXELS),
    ]
    files[8:8] = [
        ("dark", dark, 1e-4, NO_FLUX),
        ("nan", nan, 1e-4, "all pixels bad"),
        ("flagged", flagged, 1e-4, TOO_FEW_PIXELS),
        ("zero-ivar", good * np.array([[1], [0], [1], [1], [1]]), 1e-4, "all pixels bad"),
    ]
    ids, paths, reasons = [], [], []
    for name, data, z, reason in files:
        ids.append(f"{name}.fits")
        paths.append(str(write_file(folder / ids[-1], data, z)))
        reasons.append(reason)
    text, html, cut, empty = (folder / name for name in ("text", "html", "cut", "empty"))
    text.write_text("no FITS at all\n" * 300)
    html.write_text("<!DOCTYPE html><html>" + " " * 3000)
    cut.write_bytes((folder / "good1.fits").read_bytes()[:9000])
    empty.write_bytes(b"")
    for path, reason in (
        (text, "not FITS"),
        (html, "HTML page instead of a file"),
        (cut, "truncated gzip"),
        (empty, "empty file"),
        (folder / "gone", "no such file"),
    ):
        ids.insert(5, path.name)
        paths.insert(5, str(path))
        reasons.insert(5, reason)
    return ids, paths, reasons


def test_every_file_is_prepared_or_has_a_reason(archive, settings):
    ids, paths, reasons = archive
    blocks = list(prepare(ids, paths, settings, block=4))
    rejected = [row for block in blocks for row in block[3]]
    assert rejected == [(name, why) for name, why in zip(ids, reasons, strict=True) if why]
    kept = [name for block in blocks for name in block[2]["id"]]
    assert kept == [name for name, why in zip(ids, reasons, strict=True) if not why]
    for flux, ivar, stars, _ in blocks:
        assert flux.shape == ivar.shape == (len(stars), 3626)
        assert flux.dtype == ivar.dtype == np.float32
        assert np.all(np.isfinite(flux))
        assert np.all(np.isfinite(ivar) & (ivar >= 0))
        assert np.all(flux[ivar == 0] == 1)
        np.testing.assert_array_equal(stars["n_good"], np.sum(ivar > 0, axis=1))


def test_columns_of_the_stars(archive, settings):
    ids, paths, reasons = archive
    good = [i for i, why in enumerate(reasons) if not why]
    ((flux, ivar, stars, _),) = prepare([ids[i] for i in good], [paths[i] for i in good], settings)
    np.testing.assert_allclose(stars["redshift"], [read_spectrum(paths[i]).redshift for i in good])
    # S/N of 20 to 60 went in; the variance rule "information" keeps it.
    np.testing.assert_allclose(stars["snr"], 20 + 5 * np.arange(9), rtol=0.03)
    expected = [np.median(f[i > 0] * np.sqrt(i[i > 0])) for f, i in zip(flux, ivar, strict=True)]
    np.testing.assert_allclose(stars["snr"], expected, rtol=1e-5)
    g = (GRID >= 4000) & (GRID < 5500)
    expected = [np.median((f * np.sqrt(i))[g & (i > 0)]) for f, i in zip(flux, ivar, strict=True)]
    np.testing.assert_allclose(stars["snr_g"], expected, rtol=1e-5)
    np.testing.assert_allclose(np.median(flux, axis=1), 1, atol=0.03)


def test_blocks_of_any_size_give_the_same_bytes(archive, settings, tmp_path):
    ids, paths, _ = archive
    lost = []
    for size in (1, 3, 512):
        blocks = list(prepare(ids, paths, settings, block=size))
        assert max(len(stars) for _, _, stars, _ in blocks) <= size
        write_store(tmp_path / f"{size}.h5", GRID, (block[:3] for block in blocks))
        lost.append([row for block in blocks for row in block[3]])
    assert lost[0] == lost[1] == lost[2]
    assert len({(tmp_path / f"{size}.h5").read_bytes() for size in (1, 3, 512)}) == 1
    assert len(read_stores([tmp_path / "3.h5"]).flux) == 9


def test_nothing_to_prepare(settings):
    assert list(prepare([], [], settings)) == []


def test_a_block_without_a_good_file_is_empty(archive, settings):
    ids, paths, reasons = archive
    i = reasons.index(NO_REDSHIFT)
    ((flux, ivar, stars, rejected),) = prepare([ids[i]], [paths[i]], settings)
    assert flux.shape == ivar.shape == (0, 3626)
    assert len(stars) == 0
    assert rejected == [(ids[i], NO_REDSHIFT)]


def test_memory_does_not_grow_with_the_number_of_spectra(archive, settings):
    ids, paths, reasons = archive
    i = reasons.index(None)

    def peak(n):
        tracemalloc.start()
        for _ in prepare([ids[i]] * n, [paths[i]] * n, settings, block=16):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(16)  # what is loaded once
    few, many = peak(32), peak(320)
    assert many < few + 1e6  # 288 more spectra are 8 MB in float32
    assert many < 40 * 16 * 3626 * 8


def test_windows_stay_with_the_observer_or_with_the_star():
    narrow = [Window("sky", 5577.0, 5581.0, "observed", ""), Window("core", 5000.0, 5020.0, "rest", "")]
    settings = Settings(GRID, banded_kernel(GRID), narrow)
    for z in (-1e-3, 0.0, 1e-3):
        data = observed()
        data[1] = 1.0
        masked = on_grid(spectrum(data, z), settings)[1] == 0
        sky = (GRID * (1 + z) >= 5577) & (GRID * (1 + z) <= 5581)
        core = (GRID >= 5000) & (GRID <= 5020)
        assert sky.sum() > 2
        assert np.all(masked[sky | core])
        # Interpolation takes at most one more pixel at each end.
        assert masked.sum() <= (sky | core).sum() + 2


def test_flags_mask_as_the_settings_say(settings):
    data = observed()
    data[1] = 1.0
    data[3, 1000], data[4, [1000, 1500]] = 4, 64
    plain = settings._replace(windows=[])

    def masked(**changes):
        ivar = on_grid(spectrum(data, 0.0), plain._replace(**changes))[1]
        first = np.argmin(np.abs(lamost_grid() - GRID[0]))
        return list(np.flatnonzero(ivar == 0) + first)

    assert masked() == [1000]
    assert masked(andmask=False) == []
    assert masked(ormask=True) == [1000, 1500]
    assert masked(ormask=True, andmask=False) == [1000, 1500]


@pytest.mark.parametrize("value", [np.nan, np.inf, -1e30])
def test_flux_under_a_mask_does_not_count(settings, value):
    data = observed()
    data[3, 1000:1010] = 1
    reference = on_grid(spectrum(data), settings)
    data[0, 1000:1010] = value
    data[0, (data[2] > 7590) & (data[2] < 7705)] = value
    for now, before in zip(on_grid(spectrum(data), settings), reference, strict=True):
        np.testing.assert_array_equal(now, before)


def test_a_spectrum_stays_as_it_was(settings):
    one = spectrum(observed())
    copies = [np.copy(a) for a in one[:5]]
    on_grid(one, settings)
    for now, before in zip(one[:5], copies, strict=True):
        np.testing.assert_array_equal(now, before)


def test_the_limit_of_good_pixels(settings):
    good = np.count_nonzero(on_grid(spectrum(observed()), settings)[1]) / 3626
    on_grid(spectrum(observed()), settings._replace(min_good_fraction=good))
    with pytest.raises(ArchiveError, match=r"spec-55859.*: \d+ good pixels of 3626") as caught:
        on_grid(spectrum(observed()), settings._replace(min_good_fraction=good + 1e-3))
    assert caught.value.reason == TOO_FEW_PIXELS


def test_pixels_that_eq_1_loses_count_too(settings, tmp_path):
    # Most of the pixels and of the flux are good, but the blue has a negative pseudo-continuum.
    data = observed()
    data[0] = np.where(data[2] < 5000, -1.0, 1.0) * np.abs(data[0])
    path = write_file(tmp_path / "a.fits", data)
    ((_, _, stars, rejected),) = prepare(["a"], [str(path)], settings._replace(min_good_fraction=0.75))
    assert len(stars) == 0
    assert rejected == [("a", TOO_FEW_PIXELS)]


def test_a_number_beyond_float32_is_masked(settings, tmp_path):
    data = observed()
    data[0] *= 1e25
    data[1] = 1e10
    path = write_file(tmp_path / "a.fits", data)
    ((flux, ivar, _, _),) = prepare(["a"], [str(path)], settings._replace(min_good_fraction=0.0))
    assert np.all(np.isfinite(flux))
    assert np.all(np.isfinite(ivar))


def test_signal_to_noise_is_a_plain_median(rng):
    flux, ivar = rng.normal(1, 0.1, (40, 101)), rng.uniform(0, 2, (40, 101))
    ivar[rng.random(ivar.shape) < np.linspace(0, 1, 40)[:, None]] = 0
    ivar[0], ivar[-1] = 1.0, 0.0
    flux[ivar == 0] = np.nan
    expected = [
        np.median(f[i > 0] * np.sqrt(i[i > 0])) if i.any() else np.nan
        for f, i in zip(flux, ivar, strict=True)
    ]
    np.testing.assert_allclose(signal_to_noise(flux, ivar), expected, rtol=1e-15)
    wavelength = np.arange(101.0)
    part = signal_to_noise(flux[:, 20:30], ivar[:, 20:30])
    np.testing.assert_array_equal(signal_to_noise(flux, ivar, wavelength, (20, 30)), part)
    assert np.all(np.isnan(signal_to_noise(flux, ivar, wavelength, (200, 300))))

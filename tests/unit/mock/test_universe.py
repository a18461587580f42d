"""The mock archive on disk: published formats, reproducible bytes, and exactly the defects asked for."""

import gzip
import zlib

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from labeltransfer.mock.apogee import X_H
from labeltransfer.mock.hband import hband_flux, hband_wavelength
from labeltransfer.mock.lamost import DEFECTS
from labeltransfer.mock.nature import LABELS
from labeltransfer.mock.population import FIGURE_2_STAR
from labeltransfer.mock.universe import (
    default_mock_config,
    draw_universe,
    mock_spectra_block,
    release_visits,
    write_aspcapstar,
    write_catalogs,
    write_fibres,
    write_spectra,
    write_truth,
)
from labeltransfer.spectra.resolution import read_resolution
from labeltransfer.synthesis.model_spectra import ELEMENTS, read_model_spectra

CONFIG = {
    "releases": {"dr2": {"n_reference": 60, "n_survey": 80}, "dr3": {"n_reference": 90, "n_survey": 20}},
    "n_apogee_only": 40,
    "defects": dict.fromkeys(DEFECTS, 1) | {"no redshift": 3},
    "missing_survey_labels": 5,
    "duplicate_rows": 3,
    "duplicate_fraction": 0.1,
    "flagged_fraction": 0.1,
}

ALLSTAR_COLUMNS = """
    ASPCAP_ID FILE APOGEE_ID TELESCOPE LOCATION_ID FIELD RA DEC GLON GLAT J H K SNR STARFLAG
    ASPCAPFLAG EXTRATARG PARAM FPARAM ELEM TEFF TEFF_ERR LOGG LOGG_ERR PARAM_M_H PARAM_M_H_ERR
    PARAM_ALPHA_M PARAM_ALPHA_M_ERR AK_TARG AK_WISE
"""


@pytest.fixture(scope="module")
def models():
    from tests.conftest import ROOT

    return read_model_spectra(ROOT / "resources" / "ab_initio" / "spectra_r1800.fits")


@pytest.fixture(scope="module")
def universe(models):
    return draw_universe(CONFIG, 21, models)


@pytest.fixture(scope="module")
def archive(universe, tmp_path_factory):
    root = tmp_path_factory.mktemp("mock")
    for release in ("dr2", "dr3"):
        write_catalogs(universe, root / release, release)
        write_spectra(universe, root / release, release)
        write_aspcapstar(universe, root / release, release)
        write_truth(universe, root / release, release)
    return root


def _good(universe, release):
    visits = release_visits(universe, release)
    return visits[visits["defect"] == ""]


def test_spectra_have_the_published_layouts(universe, archive):
    for release, bits, keys in (
        ("dr2", -64, {"SN_G", "Z_FROM"}),
        ("dr3", -32, {"SNRG", "OBSID", "DATA_V"}),
    ):
        for visit in _good(universe, release)[:10]:
            with fits.open(archive / release / "spectra" / visit["path"]) as hdus:
                header, data = hdus[0].header, hdus[0].data
                hdus.verify("exception")
                assert len(hdus) == 1
                assert data.shape == (5, visit["n_pix"])
            assert header["BITPIX"] == bits
            assert keys <= set(header)
            assert ("OBSID" in header) == (release == "dr3")
            assert header["FILENAME"] == visit["spectrum_id"]
            assert header["EXTEN0"].replace(",", "") == "Flux Inverse Wavelength Andmask Ormask"
            assert header["LMJD"] - header["MJD"] == (-1 if release == "dr2" else 1)
            assert header["ORIGIN"] == "MOCK"
            assert 3890 <= header["NAXIS1"] <= 3909
            np.testing.assert_allclose(data[2], 10 ** (3.5682 + 1e-4 * np.arange(visit["n_pix"])), rtol=1e-6)
            plan, fiber = header["PLANID"], f"sp{header['SPID']:02d}-{int(header['FIBERID']):03d}"
            assert visit["path"] == f"{plan}/spec-{header['LMJD']}-{plan}_{fiber}.fits.gz"


def test_number_of_pixels_varies(universe):
    assert len(np.unique(universe.visits["n_pix"])) > 10


def test_catalogue_agrees_with_the_spectra(universe, archive):
    for release in ("dr2", "dr3"):
        catalogue = Table.read(archive / release / "catalogs" / f"{release}_stellar.fits.gz")
        assert {"obsid", "designation", "obsdate", "lmjd", "planid", "spid", "fiberid", "ra", "dec"} <= set(
            catalogue.colnames
        )
        assert {
            "snru",
            "snrg",
            "snrr",
            "snri",
            "snrz",
            "objtype",
            "class",
            "subclass",
            "magtype",
            "mag7",
        } <= set(catalogue.colnames)
        assert {"rv", "rv_err", "teff", "teff_err", "logg", "logg_err", "feh", "feh_err"} <= set(
            catalogue.colnames
        )
        by_obsid = {row["obsid"]: row for row in catalogue if row["ra"] >= 0}
        for visit in _good(universe, release)[::9]:
            row = by_obsid.get(visit["obsid"])
            if row is None:
                continue
            header = fits.getheader(archive / release / "spectra" / visit["path"])
            assert row["snrg"] == header["SN_G" if release == "dr2" else "SNRG"]
            assert (row["ra"], row["dec"]) == (header["RA"], header["DEC"])
            assert row["designation"] == header["DESIG"].removeprefix("LAMOST ")
            assert header["Z"] * 299792.458 == pytest.approx(row["rv"], abs=60)


def test_catalogue_warts(universe, archive):
    catalogue = Table.read(archive / "dr2" / "catalogs" / "dr2_stellar.fits.gz")
    assert len(catalogue) == len(release_visits(universe, "dr2")) + 3
    assert len(np.unique(catalogue["obsid"])) == len(catalogue) - 3
    assert (catalogue["ra"] < -9000).sum() == 1
    missing = catalogue["teff"] < -9000
    assert missing.sum() == 5
    assert (catalogue["logg"] < -9000).tolist() == missing.tolist()
    assert (catalogue["rv"] < -9000).sum() >= 3


def test_allstar_columns(universe, archive):
    for release, name in (("dr2", "allStar-v603.fits"), ("dr3", "allStar-l30e.2.fits")):
        table = Table.read(archive / release / "catalogs" / name)
        assert set(ALLSTAR_COLUMNS.split()) <= set(table.colnames)
        assert table["PARAM"].shape == (len(table), 7)
        assert table["ELEM"].shape == (len(table), 15)
        good = table[table["TEFF"] > -9000]
        if release == "dr2":
            found = {e for e in ELEMENTS if {f"{e.upper()}_H", f"{e.upper()}_H_ERR"} <= set(table.colnames)}
            assert len(found) == 15
            aluminium, magnesium = good["AL_H"], good["MG_H"]
        else:
            # DR13 has vectors instead, of more elements than the mock knows.
            assert table["X_H"].shape == table["X_H_ERR"].shape == (len(table), 26)
            known = [i for i, element in enumerate(X_H) if element in ELEMENTS]
            assert len(known) == 17
            assert (good["X_H"][:, known] > -9000).all()
            assert (np.delete(table["X_H"], known, axis=1) < -9000).all()
            aluminium, magnesium = good["X_H"][:, 6], good["X_H"][:, 5]
        np.testing.assert_allclose(good["PARAM"][:, 0], good["TEFF"])
        np.testing.assert_allclose(good["PARAM"][:, 6], good["PARAM_ALPHA_M"])
        # ELEM: Al is [X/H], Mg is [X/M].
        np.testing.assert_allclose(good["ELEM"][:, 0], aluminium)
        np.testing.assert_allclose(good["ELEM"][:, 5] + good["PARAM_M_H"], magnesium, atol=1e-5)
        assert 0 < (table["TEFF"] < -9000).sum() < 0.3 * len(table)
        twice = table["EXTRATARG"] & 16 > 0
        assert twice.sum() > 0
        firsts = table[~twice]
        assert len(np.unique(firsts["APOGEE_ID"])) == len(firsts)
        assert set(table["APOGEE_ID"][twice]) <= set(firsts["APOGEE_ID"])


@pytest.mark.parametrize("label_errors", [{}, {"teff": 91.5, "logg": 0.11}])
def test_apogee_noise_is_exactly_the_quoted_error(models, label_errors):
    sizes = {"dr2": {"n_reference": 3000, "n_survey": 0}}
    apogee_config = {"releases": sizes, "n_apogee_only": 0, "defects": {}, "label_errors": label_errors}
    universe = draw_universe(apogee_config, 3, models)
    rows = universe.apogee[universe.apogee["label_defect"] == ""]
    stars = universe.stars[rows["star"]]
    assert len(rows) > 2000
    for label in ("teff", "logg", "m_h", "alpha_m", "mg_h", "n_h", "co_h"):
        pull = (rows[label] - stars[label]) / rows[f"{label}_err"]
        assert np.std(pull) == pytest.approx(1.0, abs=0.05)
        assert abs(np.mean(pull)) < 0.07
    for label, typical in ({"teff": 50.0, "logg": 0.08, "m_h": 0.035} | label_errors).items():
        assert np.median(rows[f"{label}_err"]) == pytest.approx(typical, rel=0.15)
    flagged = universe.apogee["label_defect"] == "flagged"
    assert flagged.mean() == pytest.approx(0.04, abs=0.015)
    bad = (1 << 23) | (1 << 19) | (1 << 20) | (1 << 3) | (1 << 4)
    assert np.all((universe.apogee["aspcapflag"][flagged] & bad) > 0)
    assert not np.any(rows["aspcapflag"] & bad)


def test_survey_pipeline_is_as_imperfect_as_published(models):
    sizes = {"dr2": {"n_reference": 3000, "n_survey": 0}}
    universe = draw_universe({"releases": sizes, "n_apogee_only": 0, "defects": {}}, 3, models)
    visits = universe.visits[universe.visits["snr"] > 50]
    measured = universe.apogee[~universe.apogee["duplicate"]][visits["star"]]
    good = measured["label_defect"] == ""
    for name, label, scatter, tolerance in (
        ("teff", "teff", 95, 15),
        ("logg", "logg", 0.25, 0.05),
        ("feh", "m_h", 0.09, 0.02),
    ):
        residual = (visits[name] - measured[label])[good]
        assert np.std(residual) == pytest.approx(scatter, abs=tolerance)
    giants = good & (measured["logg"] < 3.5)
    assert _slope(measured["logg"][giants], (visits["logg"] - measured["logg"])[giants]) < -0.08
    faint = universe.visits[universe.visits["snr"] < 20]
    truth = universe.stars["teff"]
    assert np.std(faint["teff"] - truth[faint["star"]]) > 1.3 * np.std(visits["teff"] - truth[visits["star"]])


def _slope(x, y):
    return np.polyfit(np.asarray(x, float), np.asarray(y, float), 1)[0]


def test_defects_are_counted_and_behave(universe, archive):
    for release in ("dr2", "dr3"):
        visits = release_visits(universe, release)
        found = dict(zip(*np.unique(visits["defect"], return_counts=True), strict=True))
        assert {str(k): int(v) for k, v in found.items() if k} == CONFIG["defects"]
        path = {row["defect"]: archive / release / "spectra" / row["path"] for row in visits}
        assert not path["missing file"].exists()
        assert path["html"].read_bytes().startswith(b"<!DOCTYPE html>")
        assert gzip.decompress(path["empty gzip"].read_bytes()) == b""
        with pytest.raises(EOFError):
            gzip.decompress(path["truncated"].read_bytes())
        assert path["not compressed"].read_bytes().startswith(b"SIMPLE")
        assert fits.getdata(path["not compressed"]).shape[0] == 5
        assert fits.getdata(path["wrong layout"]).shape == (2, 100)
        assert np.isnan(fits.getdata(path["nan flux"])[0]).all()
        assert not fits.getdata(path["zero ivar"])[1].any()
        assert fits.getheader(path["no redshift"])["Z"] == -9999.0
    assert set(DEFECTS) == set(CONFIG["defects"])


def test_same_seed_same_bytes_in_any_chunks(universe, models, archive, tmp_path):
    again = draw_universe(CONFIG, 21, models)
    n = len(release_visits(again, "dr2"))
    for first in range(0, n, 37):
        write_spectra(again, tmp_path, "dr2", slice(first, first + 37))
    write_catalogs(again, tmp_path, "dr2")
    write_aspcapstar(again, tmp_path, "dr2")
    write_truth(again, tmp_path, "dr2")
    files = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    expected = {path.relative_to(archive / "dr2") for path in (archive / "dr2").rglob("*") if path.is_file()}
    assert files == expected
    assert len(files) == n - 1 + 2 + again.config["n_aspcapstar"] + 1
    for name in files:
        assert (tmp_path / name).read_bytes() == (archive / "dr2" / name).read_bytes(), name


def test_other_seed_other_universe(universe, models):
    other = draw_universe(CONFIG, 22, models)
    assert not np.array_equal(other.stars["teff"], universe.stars["teff"])
    assert not np.array_equal(other.nature.strength, universe.nature.strength)


def test_releases_share_the_universe(universe, archive):
    """A star keeps its APOGEE labels, and an observation its photons, from release to release."""
    old = Table.read(archive / "dr2" / "catalogs" / "allStar-v603.fits")
    new = Table.read(archive / "dr3" / "catalogs" / "allStar-l30e.2.fits")
    labels = {(row["APOGEE_ID"], row["LOCATION_ID"]): row["X_H"][5] for row in new}
    assert all(labels[row["APOGEE_ID"], row["LOCATION_ID"]] == row["MG_H"] for row in old)
    assert len(new) > len(old)
    common = set(_good(universe, "dr2")["path"]) & set(_good(universe, "dr3")["path"])
    assert len(common) > 50
    for path in sorted(common)[:5]:
        first, second = (fits.getdata(archive / release / "spectra" / path) for release in ("dr2", "dr3"))
        np.testing.assert_array_equal(first[:2].astype("f4"), second[:2])


def test_figure_2_star_is_a_good_reference_star(universe, archive):
    row = universe.apogee[universe.apogee["APOGEE_ID"] == FIGURE_2_STAR]
    assert len(row) == 1
    assert row["label_defect"][0] == ""
    for release, name in (("dr2", "aspcapStar-r5-v603"), ("dr3", "aspcapStar-r6-l30e.2")):
        visits = release_visits(universe, release)
        mine = visits[visits["star"] == 0]
        assert len(mine) == 1
        assert mine["defect"][0] == ""
        location = str(row["location_id"][0])
        with fits.open(archive / release / "aspcap" / location / f"{name}-{FIGURE_2_STAR}.fits") as hdus:
            flux, error, model = (hdu.data for hdu in hdus[1:4])
            header = hdus[1].header
            assert "MOCK" in str(hdus[0].header["COMMENT"])
        assert (header["CRVAL1"], header["CDELT1"], len(flux)) == (4.179, 6e-6, 8575)
        seen = model > 0
        assert np.std((flux - model)[seen] / error[seen]) == pytest.approx(1.0, abs=0.05)
        assert 0.8 < seen.mean() < 0.95
    # Its LAMOST position is that of the 2MASS source, and it is matched to nobody else.
    distance = np.hypot(visits["ra"] - mine["ra"][0], visits["dec"] - mine["dec"][0]) * 3600
    assert (distance < 3).sum() == 1


def test_hband_lines_follow_the_labels(universe):
    star = dict(zip(universe.stars.colnames, universe.stars[0], strict=True))
    line = np.abs(hband_wavelength() - 15745.0).argmin()
    poor = hband_flux(star | {"mg_h": -1.0})
    assert hband_flux(star)[line] < poor[line] < 1


def test_the_archive_says_the_resolution_of_each_fibre(models, tmp_path):
    sizes = {"dr2": {"n_reference": 20, "n_survey": 20}}
    config = {"releases": sizes, "n_apogee_only": 0, "defects": {}, "resolution": [1600.0, 2000.0]}
    universe = draw_universe(config, 3, models)
    table = read_resolution(1600, write_fibres(universe, tmp_path, "dr2"))
    visits = release_visits(universe, "dr2")
    wanted = {
        f"{s:02d}-{f:03d}" for s, f in zip(visits["spid"].tolist(), visits["fiberid"].tolist(), strict=True)
    }
    assert set(table.fibres) == wanted
    values = np.array([value for _, value in table.fibres.values()])
    assert 1600 <= values.min() < 1650
    assert 1950 < values.max() <= 2000


def test_truth(universe, archive):
    truth = Table.read(archive / "dr2" / "truth_mock.fits")
    visits = release_visits(universe, "dr2")
    assert truth["spectrum_id"].tolist() == visits["spectrum_id"].tolist()
    assert {*LABELS, "alpha_m", "mg_h", "a_k", "rv", "apogee_id", "apogee_defect"} <= set(truth.colnames)
    np.testing.assert_allclose(truth["teff"], universe.stars["teff"][visits["star"]])
    assert (truth["defect"] != "none").sum() == sum(CONFIG["defects"].values())
    assert "MOCK" in fits.getheader(archive / "dr2" / "truth_mock.fits")["ORIGIN"]
    # Nothing else in the archive holds it.
    catalogue = Table.read(archive / "dr2" / "catalogs" / "dr2_stellar.fits.gz")
    assert not set(catalogue.colnames) & {"mg_m", "a_k", "population"}


def test_block_is_what_the_files_hold(universe, archive):
    rows = np.flatnonzero(release_visits(universe, "dr3")["defect"] == "")[:5]
    observed, visits = mock_spectra_block(universe, "dr3", rows)
    for i, visit in enumerate(visits):
        data = fits.getdata(archive / "dr3" / "spectra" / visit["path"])
        np.testing.assert_array_equal(observed.flux[i, : visit["n_pix"]], data[0])
        np.testing.assert_array_equal(observed.ivar[i, : visit["n_pix"]], data[1])


def test_shifted_labels_change_only_what_they_should(universe):
    visits = release_visits(universe, "dr3")[:3]
    shifted = universe.stars[visits["star"]][list(LABELS)]
    plain, _ = mock_spectra_block(universe, "dr3", slice(0, 3))
    shifted["mg_m"] += 0.3
    moved, _ = mock_spectra_block(universe, "dr3", slice(0, 3), labels=shifted)
    assert np.array_equal(plain.redshift, moved.redshift)
    good = (plain.ivar > 0) & (moved.ivar > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(good, moved.flux / plain.flux, np.nan)
    rest = plain.wavelength / (1 + plain.redshift[:, None])
    for row in range(3):
        line = np.abs(rest[row] - 5185.0) < 3
        away = np.abs(rest[row] - 7000.0) < 50
        assert np.nanmean(ratio[row, line]) < np.nanmedian(ratio[row, away]) - 0.005


def test_repeats_and_signal_to_noise(models):
    sizes = {"dr2": {"n_reference": 400, "n_survey": 600}}
    universe = draw_universe({"releases": sizes, "n_apogee_only": 0}, 4, models)
    visits = universe.visits
    stars, counts = np.unique(visits["star"], return_counts=True)
    assert len(stars) == 1000
    assert (counts > 1).mean() == pytest.approx(0.12, abs=0.04)
    for star in stars[counts > 1][:20]:
        plans = visits["planid"][visits["star"] == star]
        assert len(np.unique(plans)) == len(plans)
    assert len(np.unique(visits["spectrum_id"])) == len(visits)
    assert len(np.unique(visits["obsid"])) == len(visits)
    assert visits["snr"].min() >= 10
    assert visits["snr"].max() <= 300
    assert np.median(visits["snr"]) == pytest.approx(np.sqrt(10 * 300), rel=0.15)
    offset = np.abs(visits["dec"] - universe.stars["dec"][visits["star"]]) * 3600
    assert offset.max() < 3


def test_default_sizes_give_both_studies_enough(models):
    universe = draw_universe({}, 1, models)
    assert universe.config == default_mock_config()
    visits = release_visits(universe, "dr3")
    stars = universe.stars[visits["star"]]
    giants = (stars["kind"] == "reference") & (stars["logg"] < 3) & (stars["teff"] > 3500)
    assert 450 < (giants & (visits["snr"] > 200)).sum() < 750
    assert 1200 < (giants & (visits["snr"] > 30) & (visits["snr"] < 200)).sum() < 1800
    assert len(release_visits(universe, "dr2")) > 6200


def test_unknown_settings_are_refused(models):
    for config in ({"n_stars": 5}, {"defects": {"burnt": 1}}, {"releases": {"dr9": {}}}):
        with pytest.raises(ValueError, match="unknown settings of the mock archive"):
            draw_universe(config, 1, models)
    crowded = {"releases": {"dr2": {"n_reference": 5, "n_survey": 0}}, "defects": {"html": 50}}
    with pytest.raises(ValueError, match="50 defects"):
        draw_universe(crowded, 1, models)


def test_gzip_carries_no_time(universe, archive):
    path = archive / "dr2" / "spectra" / _good(universe, "dr2")["path"][0]
    raw = path.read_bytes()
    assert raw[4:8] == bytes(4)
    assert zlib.decompress(raw, wbits=31).startswith(b"SIMPLE")

"""The archive readers on every real file at hand, against the index, astropy and the files' own words."""

import csv
import gzip
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits

from labeltransfer.files.errors import ArchiveError
from labeltransfer.sources.labels import read_label_table
from labeltransfer.sources.local import scan_spectra
from labeltransfer.sources.own_labels import OUTDONE, LabelTables, join_labels
from labeltransfer.surveys.apogee import ASPCAPFLAG, read_allstar
from labeltransfer.surveys.lamost import read_catalog, read_spectrum

pytestmark = pytest.mark.real

ROWS = ("FLUX", "IVAR", "WAVELENGTH", "ANDMASK", "ORMASK")
FAMILIES = ("A", "F", "G")
SAME_OBJECT = "spec-55859-F5902_sp01-005.fits.gz"


@pytest.fixture(scope="module")
def index(real_data):
    """INDEX.csv, by path below the folder of spectra."""
    with open(real_data / "lamost_spectra" / "INDEX.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return {f"{row['collection']}/{row['file']}": row for row in rows}


@pytest.fixture(scope="module")
def spectra(real_data, index):
    """Every file of the index that can be read, and the reasons of the others."""
    found, reasons = {}, {}
    for path in index:
        try:
            found[path] = read_spectrum(real_data / "lamost_spectra" / path)
        except ArchiveError as error:
            reasons[path] = error.reason
    return found, reasons


def test_every_file_is_read_in_its_layout(index, spectra):
    found, reasons = spectra
    assert reasons == {}
    assert len(found) == 1152
    assert {path: spectrum.layout for path, spectrum in found.items()} == {
        path: row["layout"] for path, row in index.items()
    }


def test_headers_agree_with_the_index(index, spectra):
    def known(text):
        value = float(text or "nan")
        return value if value > -9000 else np.nan

    for path, spectrum in spectra[0].items():
        row = index[path]
        assert len(spectrum.flux) == int(row["npix"]), path
        np.testing.assert_equal(spectrum.redshift, known(row["z"]), err_msg=path)
        np.testing.assert_equal(spectrum.redshift_err, known(row["z_err"]), err_msg=path)
        np.testing.assert_equal(spectrum.snrg, known(row["snrg"]), err_msg=path)
        np.testing.assert_equal((spectrum.ra, spectrum.dec), (float(row["ra"]), float(row["dec"])))
        assert spectrum.obsid == max(int(float(row["obsid"] or -1)), -1), path
        assert (spectrum.lmjd, spectrum.planid) == (int(row["lmjd"]), row["planid"]), path
        assert (spectrum.spid, spectrum.fiberid) == (int(row["spid"]), int(row["fiberid"])), path
        assert f"LAMOST {spectrum.designation}" == row["desig"], path
        unusable = np.mean(spectrum.ivar == 0)
        assert unusable >= float(row["ivar_zero_frac"]) - 1e-4, path
    assert sum(np.isnan(spectrum.redshift) for spectrum in spectra[0].values()) == 8


def test_published_names_are_recovered(spectra):
    # Some files were renamed to their OBSID by those who kept them; the header remembers.
    renamed = 0
    for path, spectrum in spectra[0].items():
        name = Path(path).name.removesuffix(".gz")
        renamed += name != spectrum.spectrum_id
        assert spectrum.spectrum_id == (
            f"spec-{spectrum.lmjd}-{spectrum.planid}_sp{spectrum.spid:02d}-{spectrum.fiberid:03d}.fits"
        )
        assert name in (spectrum.spectrum_id, f"{spectrum.obsid}.fits")
    assert renamed == 18


def test_arrays_agree_with_astropy(real_data, spectra):
    for path, spectrum in list(spectra[0].items())[::5]:
        # astropy warns of the comments in some headers.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with fits.open(real_data / "lamost_spectra" / path, memmap=False) as units:
                header = units[0].header
                if spectrum.layout == "L3":
                    rows = [
                        units["COADD"].data[name][0]
                        for name in ("FLUX", "IVAR", "WAVELENGTH", "ANDMASK", "ORMASK")
                    ]
                else:
                    rows = list(units[0].data)
        flux, ivar, wavelength, andmask, ormask = (np.asarray(row, float) for row in rows)
        good = np.isfinite(flux) & np.isfinite(ivar) & (ivar > 0)
        np.testing.assert_array_equal(spectrum.flux, np.where(np.isfinite(flux), flux, 0), err_msg=path)
        np.testing.assert_array_equal(spectrum.ivar, np.where(good, ivar, 0), err_msg=path)
        np.testing.assert_array_equal(spectrum.andmask, andmask, err_msg=path)
        np.testing.assert_array_equal(spectrum.ormask, ormask, err_msg=path)
        # The third row of the first layout is no wavelength; in the others it is what the coefficients say.
        by_header = 10 ** (header["COEFF0"] + header["COEFF1"] * np.arange(len(flux)))
        # Some headers have the logarithm of 3700 as 3.5682, which is 1.2 km/s off.
        np.testing.assert_allclose(spectrum.wavelength, by_header, rtol=5e-6, err_msg=path)
        is_wavelength = np.allclose(wavelength, by_header, rtol=5e-6)
        assert is_wavelength == (spectrum.layout != "L0"), path


def test_wavelengths_show_the_lines_of_hydrogen(spectra):
    # An independent check of the unit, of vacuum and of the redshift's sign: H alpha at 6564.6 Angstrom.
    offsets = []
    for path, spectrum in spectra[0].items():
        if "/A/" in path and spectrum.snrg > 50:
            rest = spectrum.wavelength / (1 + spectrum.redshift)
            near = (abs(rest - 6564.61) < 15) & (spectrum.ivar > 0)
            depth = spectrum.flux[near].max() - spectrum.flux[near]
            offsets.append(np.average(rest[near], weights=depth**3) - 6564.61)
    assert len(offsets) > 20
    # The same line in air lies 1.8 Angstrom below.
    assert abs(np.median(offsets)) < 0.3


def test_the_same_object_in_two_releases_has_the_same_flux(spectra):
    folder = "lamost_same_object_two_releases_cmost"
    old, new = (spectra[0][f"{folder}/{release}/{SAME_OBJECT}"] for release in ("dr5", "dr9"))
    assert (old.layout, new.layout) == ("L2", "L3")
    assert (old.spectrum_id, old.obsid) == (new.spectrum_id, new.obsid)
    np.testing.assert_allclose(old.wavelength, new.wavelength, rtol=1e-7)
    # The blue arm was left alone; the red arm was reduced anew, by a quarter of the errors.
    blue = old.wavelength < 5699
    assert blue.mean() > 0.45
    np.testing.assert_array_equal(old.flux[blue], new.flux[blue])
    np.testing.assert_array_equal(old.ivar[blue], new.ivar[blue])
    assert np.abs((old.flux - new.flux) * np.sqrt(old.ivar)).max() < 0.3


def test_truncated_real_files_are_refused(real_data, index, tmp_path):
    for layout in ("L0", "L1", "L2", "L3"):
        path = next(path for path, row in index.items() if row["layout"] == layout)
        data = (real_data / "lamost_spectra" / path).read_bytes()
        for fraction in (0.001, 0.05, 0.3, 0.9):
            for name, whole in (("plain", data), ("packed", gzip.compress(data, 1))):
                (tmp_path / name).write_bytes(whole[: int(fraction * len(whole))])
                with pytest.raises(ArchiveError) as caught:
                    read_spectrum(tmp_path / name)
                assert caught.value.reason in ("truncated FITS", "truncated gzip", "unknown layout")


def test_catalog_rows_give_the_published_names(real_data):
    path = real_data / "labels" / "lamost_dr3_grd349" / "my_data3.csv"
    table = pd.read_csv(path, dtype={"filename": str})
    survey, rejected = read_catalog(path)
    assert len(survey) + len(rejected) == len(table)
    assert len(rejected) == 0
    # The file name was joined by its author, now and then that of another plan with the same star.
    table = table.set_index("obsid").loc[list(survey["obsid"])]
    pairs = zip(table["planid"], table["filename"], strict=True)
    same_plan = np.array([f"-{plan}_sp" in name for plan, name in pairs])
    assert same_plan.sum() > 2800
    assert list(survey["spectrum_id"][same_plan]) == list(table["filename"][same_plan])
    for name in ("teff", "logg", "feh", "snrg", "ra", "dec"):
        np.testing.assert_array_equal(survey[name], table[name].where(table[name] > -9000), err_msg=name)


def test_a_catalog_with_few_columns(real_data):
    survey, rejected = read_catalog(
        real_data / "labels" / "lamost_dr3_catalog_part" / "test_lamost_dr3_catalog_part.csv"
    )
    assert (len(survey), len(rejected)) == (35, 0)
    # Named by LMJD, which is MJD + 1 in this release.
    assert survey["spectrum_id"][0] == "spec-56669-HD092600N030149B_sp01-225.fits"
    assert survey["path"][0] == "HD092600N030149B/spec-56669-HD092600N030149B_sp01-225.fits.gz"
    assert np.all(np.isnan(survey["snrg"]))


@pytest.fixture(scope="module")
def allstar(real_data):
    """Real rows of APOGEE DR12."""
    return real_data / "labels" / "apogee_dr12_allstar_v603_rows" / "allStar-v603-hipparcos-rows.fits.gz"


LABELS = {"teff": "TEFF", "logg": "LOGG", "fe_h": "PARAM_M_H", "alpha_m": "PARAM_ALPHA_M", "a_k": "AK_WISE"}


def test_allstar_agrees_with_astropy(allstar):
    labels = LABELS | {"al_h": ("ELEM", 0), "m_h": ("PARAM", 3)}
    errors = {"teff": "TEFF_ERR", "fe_h": "PARAM_M_H_ERR"}
    reference, rejected = read_allstar(allstar, labels, errors)
    with fits.open(allstar) as units:
        data = units[1].data
        marked = data["EXTRATARG"] & 16 > 0
        assert len(reference) + len(rejected) == len(data) == 2133
        assert np.sum(rejected["reason"] == "marked duplicate") == marked.sum() == 141
        assert len(set(reference["reference_id"])) == len(reference)
        best = {}
        for row in np.flatnonzero(~marked):
            name = data["APOGEE_ID"][row]
            if name not in best or data["SNR"][row] > data["SNR"][best[name]]:
                best[name] = row
        rows = [best[name] for name in reference["reference_id"]]
        assert rows == sorted(best.values())

        def known(column):
            values = np.asarray(column, float)[rows]
            return np.where(values > -9000, values, np.nan)

        for name, column in LABELS.items():
            np.testing.assert_array_equal(reference[name], known(data[column]), err_msg=name)
        np.testing.assert_array_equal(reference["al_h"], known(data["ELEM"][:, 0]))
        np.testing.assert_array_equal(reference["m_h"], known(data["PARAM"][:, 3]))
        for name in ("ASPCAPFLAG", "STARFLAG", "EXTRATARG"):
            # Bit 31 is the sign of the column; ours have room for it.
            bits = data[name][rows].astype(np.int64) & (2**32 - 1 if name != "EXTRATARG" else 2**16 - 1)
            np.testing.assert_array_equal(reference[name.lower()], bits)
        # PARAM_M_H is the fourth parameter by another name, TEFF its first one calibrated.
        both = np.isfinite(reference["m_h"]) & np.isfinite(reference["fe_h"])
        assert both.sum() > 300
        np.testing.assert_array_equal(reference["fe_h"][both], reference["m_h"][both])
    errors = reference["teff_err"][np.isfinite(reference["teff_err"])]
    assert len(errors) > 300
    assert np.all(errors > 0)
    assert np.nanmin(reference["a_k"]) < 0


def test_aspcapflag_bits_are_what_the_survey_calls_them(allstar):
    with fits.open(allstar) as units:
        flags = units[1].data["ASPCAPFLAG"].astype(np.int64)
        words = [set(text.strip(", ").split(",")) for text in units[1].data["ASPCAPFLAGS"]]
    seen = set()
    for flag, names in zip(flags, words, strict=True):
        ours = {name for name, bit in ASPCAPFLAG.items() if flag >> bit & 1}
        theirs = {name for name in names if name in ASPCAPFLAG}
        seen |= theirs
        assert theirs <= ours
        # Words that we do not know are spellings of a flag that we do.
        assert len(ours) <= len([name for name in names if name])
    assert {"TEFF_BAD", "LOGG_BAD", "STAR_BAD", "STAR_WARN", "TEFF_WARN", "CHI2_WARN"} <= seen


def test_paths_of_aspcap_spectra(allstar):
    reference, _ = read_allstar(allstar, {})
    with fits.open(allstar) as units:
        # apogee.TELESCOPE.s.v603.LOCATION.NAME; the 1-m telescope has location 1 and is filed by field.
        identity = {tuple(name.split(".")[4:]) for name in units[1].data["ASPCAP_ID"]}
    for name, path in zip(reference["reference_id"], reference["aspcap_path"], strict=True):
        assert path.endswith(f"/aspcapStar-r5-v603-{name}.fits")
        location = path.split("/")[0]
        assert (location if location.isdigit() else "1", name) in identity


@pytest.fixture(scope="module")
def label_tables(real_data):
    """The LASP labels of the A, F and G stars."""
    return [real_data / "labels" / "lamost_lasp_dr10" / f"type_{family}_params.csv" for family in FAMILIES]


def test_the_whole_folder_as_a_local_archive(real_data, label_tables, index):
    columns = {"teff": "teff", "logg": "logg", "fe_h": "feh", "ra": "ra", "dec": "dec"}
    survey, unread = scan_spectra(real_data / "lamost_spectra")
    reference, rejected = join_labels(survey, LabelTables(label_tables, columns))
    assert len(unread) == len(rejected) == 0
    assert set(survey["id"]) == set(index)
    assert len(reference) == 757
    # Joined by OBSID, positions agree. (A quarter of the S/N and redshifts are those of another reduction.)
    table = read_label_table(
        label_tables, {name: name for name in ("obsid", "snrg", "z", "teff", "ra", "dec")}
    )
    rows = {str(obsid): row for row, obsid in enumerate(table["obsid"])}
    order = [rows[name] for name in reference["reference_id"]]
    spectra = survey[reference["survey_row"]]
    for name in ("ra", "dec"):
        np.testing.assert_allclose(spectra[name], table[name][order], rtol=0, atol=2e-6)
    assert np.mean(np.abs(spectra["snrg"] - table["snrg"][order]) < 0.01) > 0.7
    assert np.mean(np.abs(spectra["redshift"] - table["z"][order]) < 1e-7) > 0.7
    np.testing.assert_array_equal(reference["teff"], table["teff"][order])
    assert np.all([path.split("/")[1] in FAMILIES for path in reference["path"]])


def test_joining_by_position_finds_the_same_spectra(real_data, label_tables):
    columns = {"teff": "teff", "ra": "ra", "dec": "dec"}
    folder = real_data / "lamost_spectra" / "lamost_layout3_dr10_afg"
    survey, _ = scan_spectra(folder)
    by_obsid, _ = join_labels(survey, LabelTables(label_tables, columns))
    by_position, rejected = join_labels(survey, LabelTables(label_tables, columns, match="position"))
    # One star was observed twice: its second labels cannot be told apart by position.
    assert len(by_position) == len(by_obsid) - 1
    assert list(rejected["reason"]) == [OUTDONE]
    teff = dict(zip(by_obsid["path"], by_obsid["teff"], strict=True))
    pairs = zip(by_position["path"], by_position["teff"], strict=True)
    assert sum(teff[path] != value for path, value in pairs) <= 1


def test_blank_separated_label_table(real_data):
    path = real_data / "labels" / "lamost_dr3_rgb" / "LMDR3_diskRGB2.dat"
    table = read_label_table(path, {"obsid": "obsid", "teff": "teff", "rv": "rv", "last": "lnnu"})
    assert len(table) == 21954
    assert (table["obsid"][0], table["teff"][0], table["rv"][0], table["last"][0]) == (
        75606117,
        4829,
        -3,
        -11.62,
    )


def test_fits_label_table(real_data):
    path = real_data / "labels" / "ho2017_thecannon" / "lamost_labels.fits"
    table = read_label_table(path, {"id": "LAMOST_ID", "ra": "RA", "teff": "TEFF"})
    assert len(table) == 1387
    assert np.all([str(name).startswith("spec-") for name in table["id"]])
    assert 3000 < np.nanmedian(table["teff"]) < 6000


def test_scan_of_one_release(real_data):
    survey, rejected = scan_spectra(real_data / "lamost_spectra" / "lamost_layout0_dr1era_grd349")
    assert (len(survey), len(rejected)) == (120, 0)
    assert set(survey["layout"]) == {"L0"}
    assert set(survey["obsid"]) == {-1}

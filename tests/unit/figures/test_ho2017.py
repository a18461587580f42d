"""The figures of Ho et al. 2017, drawn from mock tables whose statistics are known."""

import re
from itertools import pairwise

import matplotlib
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table
from matplotlib.colors import to_hex
from matplotlib.text import Text

from labeltransfer.figures import ho2017, panels, sky, style

LABELS = ("teff", "logg", "fe_h", "alpha_m", "a_k")


def mock_giants(n_star, rng):
    """Labels of mock giants: a thin and a thick disk on the giant branch, with a red clump."""
    thick = rng.random(n_star) < 0.3
    fe_h = np.where(thick, rng.normal(-0.5, 0.3, n_star), rng.normal(-0.1, 0.2, n_star))
    alpha_m = np.where(thick, 0.22 - 0.05 * fe_h, 0.05 - 0.1 * fe_h) + rng.normal(0.0, 0.025, n_star)
    clump = rng.random(n_star) < 0.35
    logg = np.where(clump, rng.normal(2.45, 0.07, n_star), 3.7 - 2.7 * rng.beta(1.2, 1.8, n_star))
    teff = 3790.0 + 385.0 * logg - 260.0 * fe_h + rng.normal(0.0, 35.0, n_star)
    teff = np.where(clump, 4780.0 - 200.0 * fe_h + rng.normal(0.0, 50.0, n_star), teff)
    a_k = rng.exponential(0.08, n_star)
    return {"teff": teff, "logg": logg, "fe_h": fe_h, "alpha_m": alpha_m, "a_k": a_k}


def mock_comparison(n_star, seed=1):
    """A mock table of reference stars, the Cannon precise and the pipeline less so and biased."""
    rng = np.random.default_rng(seed)
    table = Table({f"{label}_apogee": values for label, values in mock_giants(n_star, rng).items()})
    table["snr"] = np.exp(rng.normal(np.log(70.0), 0.7, n_star))
    table["snr_g"] = 0.25 * table["snr"]
    worse = np.sqrt(1.0 + (60.0 / table["snr"]) ** 2)
    for label, cannon, pipeline, bias, bootstrap in (
        ("teff", 60.0, 85.0, -20.0, 4.4),
        ("logg", 0.13, 0.26, 0.18, 0.012),
        ("fe_h", 0.06, 0.08, -0.09, 0.006),
        ("alpha_m", 0.037, None, None, 0.0042),
        ("a_k", 0.05, None, None, 0.01),
    ):
        apogee = table[f"{label}_apogee"]
        table[f"{label}_cannon"] = apogee + cannon * worse * rng.normal(size=n_star)
        table[f"{label}_bootstrap"] = bootstrap * worse
        if pipeline is not None:
            table[f"{label}_lamost"] = apogee + bias + pipeline * worse**1.3 * rng.normal(size=n_star)
    return table


def mock_survey(n_star, seed=2):
    """A mock survey catalogue: dwarfs and giants with pipeline labels and positions."""
    rng = np.random.default_rng(seed)
    giant = rng.random(n_star) < 0.25
    labels = mock_giants(n_star, rng)
    teff = np.where(giant, labels["teff"], rng.normal(5700.0, 550.0, n_star).clip(3900.0, 8000.0))
    logg = np.where(giant, labels["logg"], 4.65 - 0.4 * ((teff - 4000.0) / 2500.0).clip(0, 1) ** 2)
    logg = logg + rng.normal(0.0, 0.1, n_star)
    ra = rng.uniform(0.0, 360.0, n_star)
    dec = np.degrees(np.arcsin(rng.uniform(-0.17, 0.98, n_star)))
    return Table(
        {
            "teff": teff,
            "logg": logg,
            "fe_h": labels["fe_h"],
            "alpha_m": labels["alpha_m"],
            "ra": ra,
            "dec": dec,
        }
    )


def mock_distance(survey, seed=3):
    """Mock label distances: small on the giant branch, large on the main sequence."""
    rng = np.random.default_rng(seed)
    main_sequence = np.maximum(survey["logg"] - 3.6, 0.0) / 0.2
    hot = np.maximum(survey["teff"] - 5300.0, 0.0) / 300.0
    return np.hypot(main_sequence, hot) + rng.gamma(3.0, 0.25, len(survey))


def mock_spectra():
    """Arrays of figure 2: a mock star with a gap in its APOGEE spectrum."""
    apogee_wavelength = 10 ** (4.179 + 6e-5 * np.arange(857))
    apogee_flux = 1.0 - 0.2 * np.cos(apogee_wavelength / 7.0) ** 8
    apogee_flux[300:320] = 0.0
    wavelength = 10 ** (3.5682 + 1e-3 * np.arange(390))
    continuum = 1000.0 * np.exp(-(((wavelength - 6500.0) / 2500.0) ** 2))
    flux = continuum * (1.0 - 0.1 * np.sin(wavelength / 20.0))
    inside = (wavelength > 3905) & (wavelength < 9000)
    normalised = (flux / continuum)[inside]
    return apogee_wavelength, apogee_flux, wavelength, flux, continuum, wavelength[inside], normalised


def mock_model(n_pixel=500):
    """Wavelengths, scaled coefficients and scatter of a mock model."""
    rng = np.random.default_rng(4)
    wavelength = np.linspace(3905.0, 8999.0, n_pixel)
    return wavelength, rng.normal(0.0, 0.01, (5, n_pixel)), np.abs(rng.normal(0.01, 0.003, n_pixel))


@pytest.fixture(scope="module")
def lines(root):
    """The tables of stellar features and of diffuse interstellar bands."""
    names = ("spectral_features", "dibs")
    return tuple(Table.read(root / f"resources/lines/{name}.csv") for name in names)


def draw(number, archive_kind, lines, n_star=300, n_survey=800):
    """Any of the twelve figures from mock tables of these sizes."""
    if number in (1, 5, 6, 7, 8):
        return getattr(ho2017, f"figure_{number:02d}")(mock_comparison(n_star), archive_kind)
    if number == 2:
        return ho2017.figure_02(*mock_spectra(), archive_kind, star="mock star", labels={"teff": 4750.0})
    if number == 4:
        return ho2017.figure_04(*mock_model(), *lines, archive_kind)
    survey = mock_survey(n_survey)
    if number == 3:
        return ho2017.figure_03(survey, mock_comparison(n_star), archive_kind)
    if number == 9:
        distance = mock_distance(survey)
        return ho2017.figure_09(distance, 1.3 * distance, archive_kind)
    if number == 10:
        return ho2017.figure_10(survey, mock_distance(survey), archive_kind)
    if number == 11:
        return ho2017.figure_11(survey["fe_h"], survey["alpha_m"], archive_kind)
    return ho2017.figure_12(mock_survey(n_star, seed=5), survey, archive_kind)


def words(figure):
    """Everything that is written in a figure."""
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def statistics_of(axes):
    """Scatter, bias and number of stars as printed in a panel."""
    (text,) = [text.get_text() for text in axes.texts if text.get_gid() == "statistics"]
    text = text.replace("\N{MINUS SIGN}", "-").replace(",", "")
    patterns = (r"scatter (-?[\d.]+)", r"bias (-?[\d.]+)", r"(\d+) stars")
    return tuple(float(re.search(pattern, text).group(1)) for pattern in patterns)


def to_three_digits(value):
    return pytest.approx(value, rel=6e-3, abs=6e-6)


def statistics_expected(difference):
    """What a panel must print of these differences."""
    difference = np.asarray(difference)[np.isfinite(difference)]
    return to_three_digits(difference.std()), to_three_digits(difference.mean()), difference.size


NUMBERS = range(1, 13)


@pytest.mark.parametrize(
    ("number", "n_panel"),
    [(1, 9), (2, 3), (3, 3), (4, 6), (5, 6), (6, 9), (7, 4), (8, 4), (9, 2), (10, 2), (11, 2), (12, 3)],
)
def test_panels_with_their_colour_bars(number, n_panel, lines):
    figure = draw(number, "mock", lines)
    shown = [axes for axes in figure.axes if axes.axison]
    if number == 5:  # the sixth cell, switched off, carries two colour bars
        assert len(figure.axes[5].child_axes) == 2
        assert all(axes.axison for axes in figure.axes[:5])
        assert not figure.axes[5].axison
    elif number == 12:  # maps have an outline instead of axes
        assert len(shown) == 1
        assert len(figure.axes) == 3
    else:
        assert len(shown) == len(figure.axes) == n_panel


@pytest.mark.parametrize("number", NUMBERS)
def test_mock_is_written_on_every_figure_of_the_mock_archive_and_on_no_other(number, lines):
    (mark,) = [text for text in draw(number, "mock", lines).texts if text.get_gid() == "mock"]
    assert "mock" in mark.get_text()
    for kind in ("public", "local"):
        assert not any("mock archive" in word for word in words(draw(number, kind, lines)))


@pytest.mark.parametrize("number", NUMBERS)
def test_the_mark_lies_on_the_page_and_touches_no_panel(number, lines):
    figure = draw(number, "mock", lines)
    figure.draw_without_rendering()
    (mark,) = [text for text in figure.texts if text.get_gid() == "mock"]
    renderer = figure.canvas.get_renderer()
    box, page = mark.get_window_extent(renderer), figure.bbox
    assert page.x0 <= box.x0 < box.x1 <= page.x1
    assert page.y0 <= box.y0 < box.y1 <= page.y1
    for axes in figure.axes:
        assert not box.overlaps(axes.get_tightbbox(renderer))


@pytest.mark.parametrize("number", NUMBERS)
def test_an_unknown_archive_kind_is_refused(number, lines):
    with pytest.raises(ValueError, match="archive_kind must be one of mock, public, local, not 'Mock'"):
        draw(number, "Mock", lines)


@pytest.mark.parametrize("number", [n for n in NUMBERS if n not in (2, 4)])
def test_twenty_stars_one_and_none(number, lines):
    for n_star in (20, 1, 0):
        figure = draw(number, "mock", lines, n_star, n_star)
        figure.draw_without_rendering()
    empty = "too few stars" if number == 7 else "no stars"
    assert empty in words(figure)


@pytest.mark.parametrize(("function", "method"), [(ho2017.figure_01, "lamost"), (ho2017.figure_06, "cannon")])
def test_residual_panels_print_scatter_and_bias_of_their_stars(function, method):
    comparison = mock_comparison(3000)
    comparison["teff_lamost"][0] = np.nan
    comparison["snr"][0] = 200.0
    limits = {"teff": ((0.0, 1e4), 1e4)}
    grid = np.array(function(comparison, "mock", limits=limits).axes).reshape(3, 3)
    snr = np.asarray(comparison["snr"])
    total = 0
    for row, inside in zip(grid, (snr > 100, (snr > 50) & (snr <= 100), snr <= 50), strict=True):
        for axes, label in zip(row, ("teff", "logg", "fe_h"), strict=True):
            difference = np.asarray(comparison[f"{label}_{method}"] - comparison[f"{label}_apogee"])
            assert statistics_of(axes) == statistics_expected(difference[inside])
            assert [line for line in axes.lines if np.all(np.asarray(line.get_ydata()) == 0)]
        assert row[0].images[0].get_array().sum() == statistics_of(row[0])[2]
        total += statistics_of(axes)[2]
    assert total == 3000


def test_outliers_count_though_they_lie_outside_the_frame():
    comparison = mock_comparison(200)
    comparison["snr"] = 80.0
    difference = np.tile([-20.0, 20.0], 100)
    difference[7] += 5000.0
    comparison["teff_cannon"] = comparison["teff_apogee"] + difference
    axes = ho2017.figure_05(comparison, "mock", limits={"teff": (3000.0, 6500.0)}).axes[0]
    assert statistics_of(axes) == statistics_expected(difference)
    assert any("200 stars, 1 outside" in text.get_text() for text in axes.texts)


def test_figure_05_prints_statistics_of_bright_stars_and_draws_all():
    comparison = mock_comparison(2000)
    figure = ho2017.figure_05(comparison, "mock", limits={"teff": (0.0, 1e5)})
    bright = np.asarray(comparison["snr"]) > 50
    for axes, label in zip(figure.axes[:5], LABELS, strict=True):
        difference = np.asarray(comparison[f"{label}_cannon"] - comparison[f"{label}_apogee"])
        assert statistics_of(axes) == statistics_expected(difference[bright])
        assert axes.get_xlim() == axes.get_ylim()
    assert figure.axes[0].images[0].get_array().sum() == 2000
    names = [axes.images[0].get_cmap().name for axes in figure.axes[:5]]
    assert names == ["density"] * 4 + ["nuisance_density"]


def test_figure_07_shows_the_scatter_in_each_bin_and_a_curve_of_one_over_snr():
    comparison = mock_comparison(4000)
    centres = (30.0, 50.0, 70.0)
    figure = ho2017.figure_07(comparison, "mock", snr_column="snr", snr_factor=1.0, centres=centres)
    snr = np.asarray(comparison["snr"])
    for axes, label in zip(figure.axes, LABELS[:4], strict=True):
        methods = {"cannon": style.CANNON, "lamost": style.PIPELINE}
        if label == "alpha_m":
            del methods["lamost"]
        for points, (method, color) in zip(axes.containers, methods.items(), strict=True):
            difference = np.asarray(comparison[f"{label}_{method}"] - comparison[f"{label}_apogee"])
            expected = [difference[np.abs(snr - centre) < 10.0].std() for centre in centres]
            np.testing.assert_allclose(points.lines[0].get_ydata(), expected)
            assert to_hex(points.lines[0].get_color()) == color
        (curve,) = [line for line in axes.lines if line.get_linestyle() == "--"]
        product = curve.get_xdata() * curve.get_ydata()
        np.testing.assert_allclose(product, 30.0 * axes.containers[0].lines[0].get_ydata()[0])
        (dotted,) = [line for line in axes.lines if line.get_linestyle() == ":"]
        near = np.abs(snr - 50.0) < 10.0
        assert dotted.get_ydata()[1] == pytest.approx(np.median(comparison[f"{label}_bootstrap"][near]))


def test_figure_07_scales_the_snr_by_the_factor():
    comparison = mock_comparison(2000)
    figure = ho2017.figure_07(comparison, "mock", snr_factor=3.0, centres=(50.0,))
    near = np.abs(3.0 * np.asarray(comparison["snr_g"]) - 50.0) < 10.0
    difference = np.asarray(comparison["teff_cannon"] - comparison["teff_apogee"])[near]
    assert figure.axes[0].containers[0].lines[0].get_ydata()[0] == pytest.approx(difference.std())
    assert figure.axes[2].get_xlabel().startswith("$3")


@pytest.mark.parametrize("number", [3, 8, 10])
def test_kiel_diagrams_have_hot_stars_left_and_giants_on_top(number, lines):
    for axes in draw(number, "mock", lines).axes[:-1]:
        assert axes.get_xlim()[0] > axes.get_xlim()[1]
        assert axes.get_ylim()[0] > axes.get_ylim()[1]


def test_densities_lie_where_their_stars_are():
    survey = Table({"teff": np.full(50, 4700.0), "logg": np.full(50, 1.2)})
    limits = {"teff": (4000, 8000), "logg": (0, 5)}
    image = ho2017.figure_10(survey, np.full(50, np.nan), "mock", limits=limits).axes[0].images[0]
    assert image.get_extent() == [4000, 8000, 0, 5]
    assert image.origin == "lower"
    ((row, column),) = np.argwhere(~np.ma.getmaskarray(image.get_array()))
    n_row, n_column = image.get_array().shape
    assert 5.0 * row / n_row <= 1.2 <= 5.0 * (row + 1) / n_row
    assert 4000 + 4000 * column / n_column <= 4700.0 <= 4000 + 4000 * (column + 1) / n_column


def test_figure_02_breaks_the_line_at_detector_gaps_and_prints_labels():
    figure = ho2017.figure_02(*mock_spectra(), "mock", star="2M00000000", labels={"fe_h": -0.214})
    assert np.isnan(figure.axes[0].lines[0].get_ydata()).sum() == 20
    assert figure.axes[0].get_title() == "2M00000000, [Fe/H] = \N{MINUS SIGN}0.21"
    assert "no spectrum" in words(ho2017.figure_02(None, None, *mock_spectra()[2:], "mock"))


def test_figure_04_marks_features_and_bands(lines):
    wavelength, coefficients, scatter = mock_model()
    steps = (91.5, 0.11, 0.05, 0.05, 1)
    figure = ho2017.figure_04(wavelength, coefficients, scatter, *lines, "mock", steps=steps)
    orange = [
        [line.get_xdata()[0] for line in axes.lines if to_hex(line.get_color()) == style.DIB]
        for axes in figure.axes
    ]
    assert [len(bands) for bands in orange] == [0, 0, 0, 0, 8, 8]
    np.testing.assert_allclose(orange[4], lines[1]["wavelength"])
    for axes, values in zip(figure.axes, [*coefficients, scatter], strict=True):
        (curve,) = [line for line in axes.lines if len(line.get_xdata()) == wavelength.size]
        np.testing.assert_array_equal(curve.get_ydata(), values)
    assert {"Mg b", "Na I D", "Ca II triplet", "4428", "8621"} <= set(words(figure))
    assert "91.5 K" in figure.axes[0].get_ylabel()


def test_names_of_lines_do_not_run_into_each_other(lines):
    figure = ho2017.figure_04(*mock_model(), *lines, "public")
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    for axes in (figure.axes[0], figure.axes[5]):
        # A name's own box: the extent of an annotation would include the line that leads to it.
        boxes = sorted(
            (Text.get_window_extent(text, renderer) for text in axes.texts), key=lambda box: box.x0
        )
        assert len(boxes) >= 8
        assert all(left.x1 <= right.x0 for left, right in pairwise(boxes))


def test_line_tables_hold_vacuum_wavelengths_and_their_sources(lines):
    for table in lines:
        air, vacuum = np.asarray(table["wavelength_air"]), np.asarray(table["wavelength"])
        # Edlen (1953), as adopted by the IAU: another formula than the one behind the tables.
        inverse = (1e4 / vacuum) ** 2
        index = 1 + 6.4328e-5 + 2.94981e-2 / (146 - inverse) + 2.5540e-4 / (41 - inverse)
        np.testing.assert_allclose(vacuum / air, index, rtol=1.2e-5)
        assert all(len(source) > 10 for source in table["source"])
    dibs = lines[1]
    assert list(dibs["name"]) == [4428, 4882, 5780, 5797, 6203, 6283, 6614, 8621]
    # Bands are named by their wavelengths in air.
    np.testing.assert_allclose(dibs["wavelength_air"], dibs["name"], atol=1.0)
    assert np.all(dibs["fwhm"] > 0)


def test_figure_09_draws_a_repeatable_sample_and_counts_stars_below_the_cut():
    rng = np.random.default_rng(8)
    x = np.concatenate([rng.uniform(0, 2.4, 600), rng.uniform(4, 8, 1400), [np.nan]])
    y = np.concatenate([rng.uniform(0, 10, 2000), [1.0]])
    assert "600 of 2,000 stars below 2.5" in words(ho2017.figure_09(x, y, "mock", n_star=5000))
    first, again, other = (
        np.asarray(ho2017.figure_09(x, y, "mock", n_star=500, seed=seed).axes[1].collections[0].get_offsets())
        for seed in (1, 1, 2)
    )
    assert 450 < len(first) <= 500
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_contour_levels_enclose_the_sigmas_of_a_gaussian():
    x = np.linspace(-6.0, 6.0, 601)
    density = np.exp(-0.5 * (x[:, None] ** 2 + (x[None] / 1.5) ** 2))
    n_sigma = np.array([2.0, 1.5, 1.0, 0.5])
    np.testing.assert_allclose(panels.contour_levels(density, n_sigma), np.exp(-0.5 * n_sigma**2), rtol=0.02)
    assert panels.contour_levels(np.zeros((3, 3))).size == 0
    assert panels.contour_levels(np.ones((3, 3))).size == 1


def test_figure_11_draws_four_contours():
    survey = mock_survey(5000)
    axes = ho2017.figure_11(survey["fe_h"], survey["alpha_m"], "mock").axes[0]
    (contours,) = axes.collections
    assert len(contours.levels) == 4
    assert axes.images[0].get_array().sum() == pytest.approx(5000, abs=20)


def test_sky_cells_have_nearly_equal_area():
    rng = np.random.default_rng(3)
    n_star = 400_000
    longitude, latitude = rng.uniform(0, 360, n_star), np.degrees(np.arcsin(rng.uniform(-1, 1, n_star)))
    cell, n_cell = sky.sky_cells(longitude, latitude, 10.0)
    count = np.bincount(cell, minlength=n_cell)
    assert count.size == n_cell
    assert count.min() > 0.75 * count.mean()
    assert count.max() < 1.25 * count.mean()
    corners, _ = sky.sky_cells([0.0, 360.0, 359.999, -0.001], [90.0, -90.0, 0.0, 0.0], 10.0)
    assert corners.min() >= 0
    assert corners.max() < n_cell
    assert corners[2] == corners[3]


def test_median_per_cell_agrees_with_numpy():
    rng = np.random.default_rng(3)
    cell, values = rng.integers(0, 40, 300), rng.normal(size=300)
    median = sky.median_per_cell(cell, values, 45)
    expected = [np.median(values[cell == i]) if np.any(cell == i) else np.nan for i in range(45)]
    np.testing.assert_allclose(median, expected)
    assert np.isnan(median[40:]).all()


def test_mollweide_there_and_back_with_longitude_growing_to_the_left():
    rng = np.random.default_rng(3)
    longitude, latitude = rng.uniform(-29, 329, 2000), rng.uniform(-89, 89, 2000)
    back = sky.inverse_mollweide(*sky.mollweide(longitude, latitude, 150.0), 150.0)
    np.testing.assert_allclose(back[1], latitude, atol=1e-5)
    np.testing.assert_allclose((back[0] - longitude + 180) % 360 - 180, 0.0, atol=1e-4)
    assert sky.mollweide(0.0, 0.0, 150.0)[0] == pytest.approx(2 * 150 / 180)
    assert np.isnan(sky.inverse_mollweide(np.array(1.9), np.array(0.9), 150.0)[0])
    # Equal areas: of stars all over the sky, a quarter lies in an ellipse of half the size.
    x, y = sky.mollweide(
        rng.uniform(0, 360, 40_000), np.degrees(np.arcsin(rng.uniform(-1, 1, 40_000))), 150.0
    )
    assert np.mean((x / 2) ** 2 + y**2 < 0.25) == pytest.approx(0.25, abs=0.01)


def test_figure_12_shows_the_median_at_the_galactic_position():
    place = SkyCoord(90.0 * u.deg, 30.0 * u.deg, frame="galactic").icrs
    stars = Table({"ra": np.full(5, place.ra.deg), "dec": np.full(5, place.dec.deg)})
    stars["alpha_m"] = [0.1, 0.2, 0.9, 0.0, np.nan]
    figure = ho2017.figure_12(stars[:0], stars, "mock")
    alone, together = figure.axes[:2]
    assert not alone.images
    assert "no stars" in [text.get_text() for text in alone.texts]
    assert alone.get_title().endswith(" 0 stars")
    assert together.get_title().endswith(" 4 stars")
    picture = together.images[0].get_array()
    row, column = np.argwhere(~np.ma.getmaskarray(picture)).mean(axis=0) + 0.5
    x, y = column / picture.shape[1] * 4.0 - 2.0, row / picture.shape[0] * 2.0 - 1.0
    np.testing.assert_allclose((x, y), sky.mollweide(90.0, 30.0, 150.0), atol=0.03)
    np.testing.assert_allclose(picture.compressed(), 0.15)
    assert any("centre" in word for word in words(figure))


def test_names_keep_a_gap_and_move_no_more_than_needed():
    np.testing.assert_allclose(panels.spread_positions([0.0, 10.0, 20.0], 5.0), [0.0, 10.0, 20.0])
    np.testing.assert_allclose(panels.spread_positions([10.0, 10.0], 4.0), [8.0, 12.0])
    positions = np.random.default_rng(1).uniform(0, 100, 15)
    spread = panels.spread_positions(positions, 5.0)
    assert np.diff(np.sort(spread)).min() > 5.0 - 1e-9
    np.testing.assert_array_equal(np.argsort(spread), np.argsort(positions))
    assert spread.mean() == pytest.approx(positions.mean())


def test_frames_follow_stars_that_the_paper_does_not_have():
    published = ho2017.LABEL_RANGES["teff"]
    low, high = panels.choose_range(np.linspace(5800.0, 7500.0, 500), published)
    assert 5600 < low < 5850
    assert 7450 < high < 7700
    assert panels.choose_range(np.append(np.full(95, 4700.0), np.full(5, 9000.0)), published) == published
    assert panels.choose_half_range(np.full(10, 900.0), 300.0) == 900.0
    assert panels.choose_half_range([], 300.0) == 300.0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (91.52, "91.5 K"),
        (-0.00354, "\N{MINUS SIGN}0.00354 K"),
        (0.24, "0.240 K"),
        (0.0, "0 K"),
        (1234.4, "1234 K"),
        (np.nan, "\N{EN DASH}"),
    ],
)
def test_numbers_are_printed_with_three_digits(value, text):
    assert panels.format_number(value, "K") == text


@pytest.mark.parametrize("number", [3, 10, 11, 12])
def test_the_number_of_artists_does_not_grow_with_the_survey(number, lines):
    def size(n_survey):
        figure = draw(number, "mock", lines, 300, n_survey)
        points = [len(dots.get_offsets()) for axes in figure.axes for dots in axes.collections]
        vertices = [len(line.get_xdata()) for axes in figure.axes for line in axes.lines]
        assert max(points, default=0) <= 14_000
        return len(figure.findobj()), sum(vertices)

    few, many = size(1000), size(444_228)
    # Ticks differ with the range of the counts, nothing else.
    assert many[0] < 1.3 * few[0]
    assert many[1] < 1.3 * few[1] + 100


@pytest.mark.parametrize(
    ("function", "column"),
    [
        (ho2017.figure_01, "teff_lamost"),
        (ho2017.figure_05, "a_k_cannon"),
        (ho2017.figure_06, "snr"),
        (ho2017.figure_07, "snr_g"),
        (ho2017.figure_08, "logg_apogee"),
    ],
)
def test_a_missing_column_is_named_with_the_table_and_what_it_has(function, column):
    comparison = mock_comparison(30)
    comparison.remove_column(column)
    with pytest.raises(
        ValueError, match=rf"needs column '{column}' of the comparison table, which has: teff_"
    ):
        function(comparison, "mock")


def test_missing_columns_of_other_tables(lines):
    survey = mock_survey(30)
    with pytest.raises(ValueError, match="figure 3 needs column 'logg' of the survey table"):
        ho2017.figure_03(survey["teff", "ra"], mock_comparison(30), "mock")
    with pytest.raises(ValueError, match="figure 12 needs column 'alpha_m' of the catalogue table"):
        ho2017.figure_12(survey, survey["ra", "dec"], "mock")
    with pytest.raises(ValueError, match="figure 4 needs column 'name' of the DIB table"):
        ho2017.figure_04(*mock_model(), lines[0], lines[0], "mock")


def test_arrays_that_do_not_belong_together_are_refused(lines):
    wavelength, coefficients, scatter = mock_model()
    with pytest.raises(ValueError, match=r"expected shape \(5, 500\), found \(4, 500\)"):
        ho2017.figure_04(wavelength, coefficients[:4], scatter, *lines, "mock")
    with pytest.raises(ValueError, match="figure 4 needs one step for each of"):
        ho2017.figure_04(wavelength, coefficients, scatter, *lines, "mock", steps=(1.0,))
    with pytest.raises(ValueError, match="figure 9 needs arrays of the same shape"):
        ho2017.figure_09(np.ones(3), np.ones(4), "mock")
    with pytest.raises(ValueError, match="figure 10 needs arrays of the same shape"):
        ho2017.figure_10(mock_survey(10), np.ones(9), "mock")
    spectra = list(mock_spectra())
    spectra[2] = spectra[2][1:]
    with pytest.raises(
        ValueError, match=r"figure 2 needs arrays of the same shape, found wavelength \(389,\)"
    ):
        ho2017.figure_02(*spectra, "mock")


def test_fewer_labels_and_another_reference_on_request():
    comparison = mock_comparison(300)
    comparison.remove_columns([name for name in comparison.colnames if name.startswith(("alpha_m", "a_k"))])
    for function in (ho2017.figure_05, ho2017.figure_07):
        figure = function(comparison, "local", labels=("teff", "logg", "fe_h"))
        figure.draw_without_rendering()
        assert sum(axes.axison for axes in figure.axes[:4]) == 3
    figure = ho2017.figure_05(comparison, "local", labels=("teff",), reference="LASP")
    assert figure.axes[0].get_xlabel().startswith("LASP")


def test_masked_values_and_columns_with_units_are_understood():
    comparison = mock_comparison(300)
    masked = Table(comparison, masked=True)
    masked["teff_cannon"].mask[:100] = True
    masked["teff_cannon"].unit = "K"
    difference = np.asarray(comparison["teff_cannon"] - comparison["teff_apogee"])
    bright = np.asarray(comparison["snr"]) > 50
    bright[:100] = False
    assert statistics_of(ho2017.figure_05(masked, "mock").axes[0]) == statistics_expected(difference[bright])


def test_inputs_stay_as_they_were():
    comparison, spectra = mock_comparison(100), mock_spectra()
    before, copies = comparison.copy(), [array.copy() for array in spectra]
    for number in (1, 5, 6, 7, 8):
        getattr(ho2017, f"figure_{number:02d}")(comparison, "mock")
    ho2017.figure_02(*spectra, "mock")
    assert all(np.array_equal(comparison[name], before[name]) for name in before.colnames)
    for array, copy in zip(spectra, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("number", [5, 9, 11])
def test_the_same_input_gives_the_same_bytes_whatever_the_users_settings(number, lines, tmp_path):
    style.save(draw(number, "mock", lines), tmp_path / "one.pdf", tmp_path / "one.png")
    with matplotlib.rc_context({"font.size": 30, "lines.linewidth": 9, "savefig.dpi": 50, "pdf.fonttype": 3}):
        style.save(draw(number, "mock", lines), tmp_path / "two.pdf", tmp_path / "two.png")
    for kind in ("pdf", "png"):
        assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"two.{kind}").read_bytes()
    pdf = (tmp_path / "one.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    assert b"CreationDate" not in pdf
    assert b"Software" not in (tmp_path / "one.png").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.pdf", "one.png", "two.pdf", "two.png"]


def test_other_input_gives_other_bytes(tmp_path):
    for seed in (1, 2):
        values = np.random.default_rng(seed).uniform(0, 5, 200)
        figure = ho2017.figure_09(values, values, "mock")
        style.save(figure, tmp_path / f"{seed}.pdf", tmp_path / f"{seed}.png")
    assert (tmp_path / "1.png").read_bytes() != (tmp_path / "2.png").read_bytes()


def test_a_failed_save_leaves_the_old_file_and_no_part(tmp_path, monkeypatch):
    (tmp_path / "a.pdf").write_text("old")
    figure = style.new_figure(2, 2)

    def fail(path, **_):
        path.write_text("half")
        raise OSError("disk full")

    monkeypatch.setattr(figure, "savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        style.save(figure, tmp_path / "a.pdf", tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.pdf"]
    assert (tmp_path / "a.pdf").read_text() == "old"


def test_figures_leave_matplotlibs_settings_alone(lines):
    before = dict(matplotlib.rcParams)
    draw(9, "mock", lines)
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize(
    ("title", "text"),
    [
        (style.axis_title("teff"), r"$T_{\rm eff}$ (K)"),
        (style.axis_title("a_k", before="Cannon"), r"Cannon $A_K$ (mag)"),
        (style.axis_title("mg_h"), "[Mg/H] (dex)"),
    ],
)
def test_axis_titles(title, text):
    assert title == text


@pytest.mark.parametrize("number", NUMBERS)
def test_every_figure_has_a_caption_that_says_what_differs(number, root):
    text = (root / f"workflow/report/ho2017/figure_{number:02d}.rst").read_text()
    assert f"Differs from Fig. {number} of Ho et al. (2017)" in text
    assert len(text.split()) > 40
    assert "{{" not in text

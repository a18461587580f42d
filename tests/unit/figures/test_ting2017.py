"""The figures of Ting et al. 2017, drawn from mock tables whose statistics are known."""

import itertools
import re

import numpy as np
import pytest
from astropy.table import Table
from matplotlib.colors import to_hex
from matplotlib.legend import Legend
from matplotlib.text import Text

from labeltransfer.figures import style, ting2017
from labeltransfer.figures.ting2017 import LABELS

METHODS = ("prior", "no_prior", "l1", "quadratic")
ABUNDANCES = LABELS[2:]


def mock_spectrum():
    rng = np.random.default_rng(1)
    wavelength = np.linspace(3905.0, 9000.0, 3000)
    model = 1 - 0.3 * np.exp(-0.5 * ((wavelength - 5175.0) / 8.0) ** 2)
    error = np.full(wavelength.size, 0.02)
    flux = model + error * rng.standard_normal(wavelength.size)
    flux[100:120] = np.nan
    return wavelength, flux, error, model


def mock_comparison(n_train=40, n_test=160, scatter=0.1, bias=0.05):
    rng = np.random.default_rng(2)
    n = n_train + n_test
    table = Table({"trained": np.arange(n) < n_train})
    for name in LABELS:
        unit = 1000.0 if name == "teff" else 1.0
        table[f"{name}_apogee"] = unit * rng.normal(0.0, 0.3, n)
        table[f"{name}_here"] = table[f"{name}_apogee"] + unit * rng.normal(bias, scatter, n)
    return table


def mock_gradients():
    rng = np.random.default_rng(3)
    wavelength = np.linspace(5000.0, 5400.0, 300)
    theory = 0.01 * rng.standard_normal((len(LABELS), 300))
    noise = {"prior": 0.2, "no_prior": 1.0, "l1": 2.0, "quadratic": 5.0}
    gradients = {m: theory + 0.01 * s * rng.standard_normal(theory.shape) for m, s in noise.items()}
    correlations = {
        m: np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(g, theory, strict=True)])
        for m, g in gradients.items()
    }
    return wavelength, theory, gradients, correlations


def mock_scan():
    rng = np.random.default_rng(4)
    rows = [
        (d, name, 1.0 if d == 0 else rng.uniform(0.7, 2.0), 1 - rng.random() / (1 + d))
        for d in (0.0, 1.0, 10.0, 100.0)
        for name in LABELS
    ]
    return Table(rows=rows, names=("d_scale", "label", "scatter_ratio", "correlation"))


def mock_bounds():
    rng = np.random.default_rng(5)
    rows = []
    for name in LABELS:
        for snr in (30.0, 100.0):
            bound = (60.0 if name == "teff" else rng.uniform(0.03, 0.1)) * 30.0 / snr
            rows.append((name, snr, bound, 1.2 * bound, 3.0 * bound))
    return Table(rows=rows, names=("label", "snr", "bound_theory", "bound_model", "measured"))


def mock_shifts():
    rng = np.random.default_rng(6)
    found = {"prior": 1.0, "no_prior": 0.8, "l1": 1.1, "quadratic": 0.2}
    rows = [
        (name, method, shift, found[method] + 0.05 * rng.standard_normal(), 0.03)
        for name in ABUNDANCES
        for method in METHODS
        for shift in (-0.3, 0.3)
    ]
    return Table(rows=rows, names=("label", "method", "shift", "recovered_fraction", "error"))


DRAW = {
    "figure_01": lambda kind: ting2017.figure_01(
        *mock_spectrum(), kind, star="mock 1", labels={"teff": 4800.0}
    ),
    "figure_02": lambda kind: ting2017.figure_02(mock_comparison(), kind),
    "figure_03": lambda kind: ting2017.figure_03(*mock_gradients(), LABELS, kind, step="0.2 dex"),
    "d_scale": lambda kind: ting2017.figure_d_scale(mock_scan(), kind),
    "cramer_rao": lambda kind: ting2017.figure_cramer_rao(mock_bounds(), kind),
    "shift_test": lambda kind: ting2017.figure_shift_test(mock_shifts(), kind),
}
every_figure = pytest.mark.parametrize("name", DRAW)


def drawn(figure):
    figure.canvas.draw()
    return figure


def texts(figure):
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]


def words(figure):
    return "\n".join(text.get_text() for text in texts(figure))


def with_gid(axes, gid):
    return [text.get_text() for text in axes.findobj(Text) if text.get_gid() == gid]


@every_figure
def test_mock_is_written_on_figures_of_the_mock_archive_and_on_no_other(name):
    assert "mock archive: simulated" in words(DRAW[name]("mock"))
    for kind in ("public", "local"):
        assert "simulated" not in words(DRAW[name](kind))
    with pytest.raises(ValueError, match="archive_kind"):
        DRAW[name]("real")


@every_figure
def test_all_words_lie_on_the_page_and_panels_fill_it(name):
    figure = drawn(DRAW[name]("mock"))
    renderer, page = figure.canvas.get_renderer(), figure.bbox
    seen = list(figure.texts)
    for axes in figure.axes:
        seen += [*axes.texts, axes.title, axes.xaxis.label, axes.yaxis.label]
    for legend in figure.findobj(Legend):
        seen += [*legend.get_texts(), legend.get_title()]
    seen = [text for text in seen if text.get_visible() and text.get_text().strip()]
    assert len(seen) > 4
    for text in seen:
        box = text.get_window_extent(renderer)
        assert box.x0 >= page.x0 - 1, text
        assert box.x1 <= page.x1 + 1, text
        assert box.y0 >= page.y0 - 1, text
        assert box.y1 <= page.y1 + 1, text
    lowest = min(axes.get_position().y0 for axes in figure.axes)
    highest = max(axes.get_position().y1 for axes in figure.axes)
    assert lowest < 0.2
    assert highest > 0.75


@every_figure
def test_legends_and_printed_numbers_do_not_overlap(name):
    figure = drawn(DRAW[name]("mock"))
    renderer = figure.canvas.get_renderer()
    legends = [legend.get_window_extent(renderer) for legend in figure.findobj(Legend)]
    numbers = [
        t.get_window_extent(renderer) for t in texts(figure) if t.get_gid() in ("statistics", "median")
    ]
    boxes = legends + numbers
    for i, one in enumerate(boxes):
        assert not any(one.shrunk(0.98, 0.9).overlaps(other.shrunk(0.98, 0.9)) for other in boxes[i + 1 :])


@every_figure
def test_the_same_input_gives_the_same_bytes(name, tmp_path):
    for number in (1, 2):
        style.save(DRAW[name]("mock"), tmp_path / f"{number}.pdf", tmp_path / f"{number}.png")
    for kind in ("pdf", "png"):
        assert (tmp_path / f"1.{kind}").read_bytes() == (tmp_path / f"2.{kind}").read_bytes()


def test_figure_01_leaves_gaps_and_prints_chi2_of_the_whole_spectrum():
    wavelength, flux, error, model = mock_spectrum()
    figure = ting2017.figure_01(wavelength, flux, error, model, "mock")
    chi2 = np.nanmean(((flux - model) / error) ** 2)
    (printed,) = with_gid(figure.axes[2], "statistics")
    assert float(re.search(r"per pixel ([\d.]+)", printed)[1]) == pytest.approx(chi2, rel=0.01)
    assert "2,980 pixels" in printed
    (line,) = (line for line in figure.axes[0].lines if line.get_label() == "LAMOST spectrum")
    np.testing.assert_array_equal(line.get_ydata(), flux)
    with pytest.raises(ValueError, match="low < high"):
        ting2017.figure_01(wavelength, flux, error, model, "mock", zoom=(5350.0, 5000.0))


def test_figure_02_prints_the_scatter_of_the_test_stars_alone():
    table = mock_comparison()
    table["mg_h_here"][table["trained"]] += 5.0  # what the model was trained on does not count
    figure = ting2017.figure_02(table, "mock")
    axes = figure.axes[LABELS.index("mg_h")]
    residual = np.asarray(table["mg_h_here"] - table["mg_h_apogee"])[~table["trained"]]
    (printed,) = with_gid(axes, "statistics")
    assert float(re.search(r"= ([\d.]+)", printed)[1]) == pytest.approx(residual.std(), rel=0.02)
    assert float(re.search(r"bias ([\d.]+)", printed)[1]) == pytest.approx(residual.mean(), rel=0.02)
    assert "40 training stars" in words(figure)
    colors = [to_hex(points.get_facecolors()[0]) for points in axes.collections]
    assert colors == ["#000000", style.CANNON]
    table["trained"] = np.full(len(table), 2)
    with pytest.raises(ValueError, match="neither"):
        ting2017.figure_02(table, "mock")


def test_figure_02_shows_many_stars_as_counts():
    figure = ting2017.figure_02(mock_comparison(n_test=3000), "mock", max_dots=1000)
    assert all(len(axes.images) + len(axes.collections) >= 2 for axes in figure.axes[:16])
    assert "counts per cell" in words(figure)
    dots = max(c.get_offsets().shape[0] for axes in figure.axes[:16] for c in axes.collections)
    assert dots <= 40 or figure.axes[0].images


def test_figure_03_has_a_row_per_method_with_its_correlations():
    wavelength, theory, gradients, correlations = mock_gradients()
    figure = ting2017.figure_03(wavelength, theory, gradients, correlations, LABELS, "mock")
    rows = list(zip(figure.axes[::2], figure.axes[1::2], strict=True))
    # The known methods in the order of the paper's rows.
    for (left, right), method in zip(rows, ("no_prior", "quadratic", "l1", "prior"), strict=True):
        inside = (wavelength >= 5100) & (wavelength <= 5250)
        model = next(line for line in left.lines if line.get_label() == "model")
        np.testing.assert_array_equal(model.get_ydata(), gradients[method][LABELS.index("mg_h"), inside])
        (printed,) = with_gid(right, "median")
        median = float(re.search(r"median ([\d.−]+)", printed)[1].replace(style.MINUS, "-"))
        assert median == pytest.approx(np.median(correlations[method]), abs=0.01)
    with pytest.raises(ValueError, match="same methods"):
        ting2017.figure_03(wavelength, theory, gradients, {}, LABELS, "mock")


def test_the_d_scale_figure_draws_the_median_and_names_the_labels():
    scan = mock_scan()
    figure = ting2017.figure_d_scale(scan, "mock")
    for axes, quantity in zip(figure.axes, ("scatter_ratio", "correlation"), strict=True):
        median = next(line for line in axes.lines if line.get_label() == "median of the labels")
        expected = [np.median(scan[quantity][scan["d_scale"] == d]) for d in (0, 1, 10, 100)]
        np.testing.assert_allclose(median.get_ydata(), expected)
    at_ten = scan[scan["d_scale"] == 10]
    lowest = at_ten["label"][np.argmin(at_ten["correlation"])]
    assert f"lowest: {style.short_symbol(lowest)}," in with_gid(figure.axes[1], "statistics")[0]
    names = [text.get_text() for text in figure.axes[0].texts]
    assert all(style.short_symbol(name) in names for name in LABELS)
    with pytest.raises(ValueError, match="chosen D_scale 5"):
        ting2017.figure_d_scale(scan, "mock", chosen=5.0)


def test_names_beside_the_d_scale_panel_keep_apart():
    figure = drawn(ting2017.figure_d_scale(mock_scan(), "mock"))
    names = {style.short_symbol(name) for name in LABELS}
    renderer = figure.canvas.get_renderer()
    boxes = [Text.get_window_extent(t, renderer) for t in figure.axes[0].texts if t.get_text() in names]
    assert len(boxes) == len(LABELS)
    boxes.sort(key=lambda box: box.y0)
    assert all(low.y1 <= high.y0 + 2 for low, high in itertools.pairwise(boxes))


def test_the_cramer_rao_figure_gives_measured_over_bound():
    figure = ting2017.figure_cramer_rao(mock_bounds(), "mock")
    points = {line.get_gid(): line.get_ydata() for line in figure.axes[1].lines if line.get_gid()}
    for snr in (30, 100):
        np.testing.assert_allclose(points[f"bound_theory {snr}"], 3.0)
        np.testing.assert_allclose(points[f"bound_model {snr}"], 2.5)
    bounds = mock_bounds()
    bounds["bound_theory"][0] = np.inf
    assert r"$\infty$" in words(ting2017.figure_cramer_rao(bounds, "mock"))
    with pytest.raises(ValueError, match="S/N 50"):
        ting2017.figure_cramer_rao(bounds, "mock", snr=50.0)


def test_the_shift_figure_draws_every_fraction_or_an_arrow():
    shifts = mock_shifts()
    far = np.flatnonzero((shifts["method"] == "prior") & (shifts["label"] == "c_h"))
    shifts["recovered_fraction"][far] = 3.0
    figure = ting2017.figure_shift_test(shifts, "mock")
    axes = figure.axes[0]
    heights = np.concatenate([container[0].get_ydata() for container in axes.containers])
    inside = shifts["recovered_fraction"][shifts["recovered_fraction"] <= 1.6]
    np.testing.assert_allclose(np.sort(heights), np.sort(inside))
    arrows = [line for line in axes.lines if line.get_marker() == 6]
    assert sum(len(line.get_xdata()) for line in arrows) == 2
    median = np.median(shifts["recovered_fraction"][shifts["method"] == "quadratic"])
    assert f"quadratic, no prior: median {median:.3g}" in words(figure)


@pytest.mark.parametrize(
    ("draw", "table", "column"),
    [
        (ting2017.figure_d_scale, mock_scan(), "correlation"),
        (ting2017.figure_cramer_rao, mock_bounds(), "measured"),
        (ting2017.figure_shift_test, mock_shifts(), "recovered_fraction"),
    ],
)
def test_what_is_unknown_or_missing(draw, table, column):
    unknown = table.copy()
    unknown[column] = np.nan
    drawn(draw(unknown, "mock"))
    drawn(draw(table[:0], "mock"))
    with pytest.raises(ValueError, match=f"needs column '{column}'"):
        draw(table[[name for name in table.colnames if name != column]], "mock")


@every_figure
def test_every_figure_has_a_caption(name, root):
    caption = (root / "workflow" / "report" / "ting2017" / f"{name}.rst").read_text()
    assert len(caption.split()) > 20

"""Windows of wavelengths, and the two tables of them in resources/."""

import csv

import numpy as np
import pytest

from labeltransfer.spectra.grid import common_grid
from labeltransfer.spectra.masks import COLUMNS, Window, read_windows, window_mask

TABLES = ("telluric.csv", "sky_lines.csv")


@pytest.fixture
def windows(root):
    return read_windows(*(root / "resources" / "masks" / name for name in TABLES))


def write(path, *rows, header=COLUMNS):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def test_windows_against_a_comparison_of_every_pixel(rng):
    wavelength = np.sort(rng.uniform(4000, 5000, 500))
    edges = np.sort(rng.uniform(3900, 5100, (20, 2)), axis=1)
    windows = [
        Window(str(i), a, b, "rest" if i % 2 else "observed", "") for i, (a, b) in enumerate(edges.tolist())
    ]
    windows.append(Window("ends", float(wavelength[7]), float(wavelength[9]), "rest", ""))
    for frame in ("rest", "observed"):
        expected = np.zeros(500, dtype=bool)
        for window in windows:
            if window.frame == frame:
                expected |= (wavelength >= window.start) & (wavelength <= window.end)
        assert expected.any()
        assert not expected.all()
        np.testing.assert_array_equal(window_mask(wavelength, windows, frame), expected)


def test_no_windows_mask_nothing():
    assert not window_mask(np.arange(10.0), [], "rest").any()


def test_tables_are_sorted_and_say_where_they_are_from(root, windows):
    assert {window.frame for window in windows} == {"observed"}
    for name in TABLES:
        with open(root / "resources" / "masks" / name, newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) > 3
        starts = [float(row["start"]) for row in rows]
        assert starts == sorted(starts)
        assert all(row["source"] and row["reason"] for row in rows)


def test_sky_lines_are_in_vacuum(root):
    # Names carry the wavelength in air, which refracts by 1.00028: 1.5 A at 5577 A, 2.5 A at 8958 A.
    for window in read_windows(root / "resources" / "masks" / "sky_lines.csv"):
        air = float(window.name.split()[-1])
        assert (window.start + window.end) / 2 - air == pytest.approx(2.77e-4 * air, abs=0.8), window


def test_what_the_earth_does_is_masked_and_what_stars_and_dust_do_is_not(windows):
    grid = common_grid()
    masked = window_mask(grid, windows, "observed")
    assert 0.10 < masked.mean() < 0.14
    for earth in (5578.9, 6302.0, 6870.0, 7250.0, 7610.0, 8250.0, 8990.0):
        assert masked[np.argmin(np.abs(grid - earth))], earth
    # +- 3 A about Ca K, Balmer lines, Mg b, Na D, the DIBs of Fig. 4 and the Ca II triplet (vacuum), also in
    # a star that moves at 100 km/s.
    lines = [3934.8, 4102.9, 4341.7, 4862.7, 6564.6, 5168.8, 5174.1, 5185.0, 5891.6, 5897.6]
    lines += [4429.4, 4883.4, 5782.1, 5798.7, 6204.8, 6285.5, 6615.4, 8623.2, 8500.4, 8544.4, 8664.5]
    for line in lines:
        for velocity in (-100.0, 0.0, 100.0):
            near = np.abs(grid - line * (1 + velocity / 299792.458)) < 3
            assert near.any()
            assert not masked[near].any(), (line, velocity)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (["a", "x", "2", "rest", "", ""], "line 2: start and end must be numbers"),
        (["a", "1"], "line 2: start and end must be numbers"),
        (["a", "2", "1", "rest", "", ""], "line 2: start must be below end: found 2.0 and 1.0"),
        (["a", "nan", "1", "rest", "", ""], "line 2: start must be below end"),
        (["a", "1", "inf", "rest", "", ""], "line 2: start must be below end"),
        (["a", "1", "2", "star", "", ""], "line 2: frame must be observed or rest: found 'star'"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, row, message):
    path = write(tmp_path / "windows.csv", row)
    with pytest.raises(ValueError, match=message) as caught:
        read_windows(path)
    assert str(path) in str(caught.value)


def test_a_wrong_header_is_named(tmp_path):
    path = write(tmp_path / "windows.csv", header=("name", "from", "to"))
    with pytest.raises(ValueError, match="expected the columns name, start, end, frame, reason, source"):
        read_windows(path)
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(ValueError, match="found None"):
        read_windows(tmp_path / "empty.csv")


def test_several_tables_make_one_list(tmp_path):
    a = write(tmp_path / "a.csv", ["a", "1", "2", "rest", "why", "whence"])
    b = write(tmp_path / "b.csv", ["b", "3", "4", "observed", "", ""])
    assert read_windows(a, b) == [Window("a", 1.0, 2.0, "rest", "why"), Window("b", 3.0, 4.0, "observed", "")]
    assert read_windows() == []

"""A survey of one's own: one small module beside the spectra, and nothing else is touched."""

import numpy as np
import pandas as pd
import yaml

from labeltransfer.files.tables import read_table

# What docs/extending.md walks through.
TOY = '''
"""TOY: spectra as text with the survey's own names, at rest, in air, without positions."""

import numpy as np

from labeltransfer.files.errors import refusal
from labeltransfer.surveys.base import Spectrum, Survey


def read_spectrum(path):
    """Wavelength [Angstrom], flux and error, below a line with the star's name."""
    with open(path, encoding="utf-8") as file:
        name = file.readline().strip("# \\n")
    try:
        wavelength, flux, error = np.loadtxt(path, unpack=True)
    except ValueError as problem:
        raise refusal(path, "not numbers", "three columns", problem, "Leave it out.") from None
    bad = (~(error > 0)).astype(np.uint32)
    ivar = np.where(bad == 0, np.maximum(error, 1e-9) ** -2.0, 0.0)
    return Spectrum(
        wavelength, flux, ivar, bad, bad, np.nan, np.nan, name, medium="air", frame="rest", layout="text"
    )


SURVEY = Survey("toy", {"age": ("Gyr", "age, from the rotation")}, read_spectrum)
'''


def made_up(labels, wavelength):
    """Spectra (n, n_pix) with three lines that answer to two labels (n, 2)."""
    depth = 0.3 + 0.1 * labels @ np.array([[1.0, -0.5, 0.2], [0.3, 0.8, -0.6]])
    lines = np.array([5020.0, 5080.0, 5140.0])
    return 1 - depth @ np.exp(-0.5 * ((wavelength - lines[:, None]) / 3.0) ** 2)


def test_another_survey_is_a_small_module(workspace, rng):
    assert len(TOY.strip().splitlines()) < 60
    made = workspace("toy")
    folder = made.folder / "mine"
    (folder / "spectra").mkdir(parents=True)
    (folder / "labeltransfer_toy.py").write_text(TOY)
    wavelength = np.arange(4990.0, 5180.0, 0.7)
    labels = rng.uniform(-1, 1, (60, 2))
    for name, flux in enumerate(made_up(labels, wavelength)):
        columns = [wavelength, flux + 0.01 * rng.standard_normal(len(flux)), np.full(len(flux), 0.01)]
        np.savetxt(folder / "spectra" / f"{name:02d}.fits", np.transpose(columns), header=f"star {name}")
    (folder / "spectra" / "damaged.fits").write_text("# star 99\n1 2\nx\n")
    short = wavelength < 5030
    np.savetxt(folder / "spectra" / "short.fits", np.transpose(columns)[short], header="star 98")
    known = pd.DataFrame({"star": [f"star {i}" for i in range(50)]})
    known["a"], known["b"] = labels[:50].T
    known.to_csv(folder / "labels.csv", index=False)
    label = {"error": None, "unit": "dex"}
    config = {
        "run": ["toy"],
        "source": "local",
        "chunks": {"survey": 1, "reference": 1},
        "archives": {
            "local": {
                "root": "mine",
                "spectra": "spectra",
                "labels": ["labels.csv"],
                "id_column": "star",
                "match": "spectrum_id",
                "columns": {"a": "a", "b": "b"},
                "errors": {},
            }
        },
        "studies": {
            "toy": {
                "title": "Another survey",
                "paper": None,
                "releases": {"survey": "toy-dr1", "reference": "mine"},
                "labels": {"a": {"column": "a", **label}, "b": {"column": "b", **label}},
                "nuisance": [],
                "pipeline": {},
                "hold_out": {"fraction": 0.0},
                "match_radius": 3.0,
                "same_star_radius": 3.0,
                "cuts": [{"reason": "label missing", "columns": ["a", "b"], "finite": True}],
                "distance": None,
                "grid": {"lower": 5000.0, "upper": 5170.0, "log_start": None, "start": 4990.0, "step": 0.7},
                "preparation": {"windows": [], "snr_band": None},
                "model": {
                    "kind": "cannon",
                    "order": 1,
                    "scatter": "reml",
                    "errors_in_labels": "none",
                    "clip": 4.0,
                },
                "starts": None,
                "validation": {
                    "folds": 5,
                    "train_fraction": 0.8,
                    "bootstrap": 2,
                    "min_snr": 20.0,
                    "zero_point": False,
                },
                "max_reduced_chi2": 10.0,
                "example_star": None,
                "figures": [2],
            }
        },
    }
    (made.folder / "toy.yaml").write_text(yaml.safe_dump(config))
    targets = [f"results/toy/{name}" for name in ("catalog.fits", "fates.csv", "figures/figure_02.png")]
    made.succeed(*targets, "--configfile", "toy.yaml", PYTHONPATH=str(folder))
    catalogue = read_table(made.folder / "results" / "toy" / "catalog.fits")
    names = [f"{name:02d}.fits" for name in range(60)]
    assert list(catalogue["spectrum_id"]) == names
    assert np.isnan(catalogue["ra"]).all()
    for name, truth in zip("ab", labels.T, strict=True):
        off = (catalogue[name] - truth) / catalogue[f"{name}_err"]
        # Of 60 stars: 1 within 4 sigma of its scatter, and a model from 50 stars adds a little.
        assert 0.6 < np.std(off) < 1.6, name
    fates = pd.read_csv(made.folder / "results" / "toy" / "fates.csv")
    assert fates["rows"].sum() == 62 + 50
    reasons = set(fates["reason"].dropna())
    assert {"not numbers", "too few good pixels"} <= reasons
    assert (made.folder / "results" / "toy" / "figures" / "figure_02.png").is_file()

    # Without the module, a message says what is missing.
    (folder / "labeltransfer_toy.py").rename(folder / "elsewhere.py")
    said = made.fail(*targets, "--configfile", "toy.yaml", PYTHONPATH=str(folder))
    assert "no survey 'toy-dr1'; there are lamost" in said

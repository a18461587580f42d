"""The source `registry`: archives from a server and packages from the package client, to labels of a study."""

import csv
import hashlib
import shutil
import tarfile

import numpy as np
import pandas as pd
import pytest
import yaml
from astropy.table import Table

from labeltransfer.files.download import FetchError
from labeltransfer.files.tables import read_table
from labeltransfer.sources.datasets import archives, parts_of, read_datasets
from labeltransfer.sources.registry import fetch_archive
from tests.misbehaving_server import serve

TARGETS = (
    "results/lamost_tutorial/catalog.fits",
    "results/lamost_tutorial/published_vs_here.csv",
    "results/lamost_tutorial/figures/figure_05.png",
)


def git_blob(path):
    content = path.read_bytes()
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


@pytest.fixture(scope="module")
def served(small_run, tmp_path_factory):
    """What the authors' tutorial has, made up from the mock: an archive of spectra and a table of their labels."""
    folder, mock = (
        tmp_path_factory.mktemp("tutorial"),
        small_run / "results" / "archive" / "mock" / "lamost-dr2",
    )
    truth = read_table(mock / "truth_mock.fits")
    good = truth[(truth["defect"] == "none") & (truth["logg"] < 3.5) & (truth["snr"] > 30)]
    _, first = np.unique(good["star"], return_index=True)
    good = good[np.sort(first)][:160]
    paths = {path.name.removesuffix(".gz"): path for path in (mock / "spectra").rglob("*.gz")}
    with tarfile.open(folder / "lamost_spectra.tar.gz", "w:gz") as archive:
        for name in good["spectrum_id"].tolist():
            archive.add(paths[name], f"spectra/{name}.gz")
    labels = {"TEFF": "teff", "LOGG": "logg", "PARAM_M_H": "fe_h", "PARAM_ALPHA_M": "alpha_m"}
    table = Table({"LAMOST_ID": good["spectrum_id"].astype(str)} | {k: good[v] for k, v in labels.items()})
    table.add_row(["spec-55859-F5902_sp99-999.fits", 4500.0, 2.0, 0.0, 0.0])
    table.write(folder / "lamost_labels.fits")
    return folder


def settings(root, folder, url, served):
    """The study of the tutorial, whose archives this server has."""
    with open(root / "resources" / "datasets.csv", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["release"] in ("lamost-tutorial", "ho2017")]
    for row in rows:
        address, mark, members = row["url"].partition("#")
        file = address.rpartition("/")[2]
        row["url"] = f"{url}/{file}{mark}{members}"
        row["checksum"], row["size"] = f"git:{git_blob(served / file)}", (served / file).stat().st_size
    with open(folder / "datasets.csv", "w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    config = yaml.safe_load((root / "config" / "real.yaml").read_text())
    config |= {"run": ["lamost_tutorial"], "archives": {"registry": {"datasets": "datasets.csv"}}}
    config["studies"] = {"lamost_tutorial": config["studies"]["lamost_tutorial"]}
    config["studies"]["lamost_tutorial"]["validation"] |= {"folds": 3, "bootstrap": 2}
    (folder / "tutorial.yaml").write_text(yaml.safe_dump(config))


def test_the_tutorial_goes_from_a_server_to_its_numbers(workspace, served, root):
    made = workspace("tutorial")
    with serve(served, {"/lamost_spectra.tar.gz": ["drop", "wrong bytes"]}) as server:
        settings(root, made.folder, server.url, served)
        made.succeed(*TARGETS, "--configfile", "tutorial.yaml")
    catalogue = read_table(made.folder / TARGETS[0])
    assert len(catalogue) > 140
    assert catalogue.meta["settings"]["data"][0]["licence"].startswith("MIT")
    published = pd.read_csv(made.folder / TARGETS[1]).set_index(["quantity", "label"])
    scatter = published.loc["tutorial_scatter"]["here"]
    assert 20 < scatter["teff"] < 200
    assert (scatter > 0).all()
    assert published.loc[("tutorial_training_stars", np.nan), "here"] > 100
    fates = pd.read_csv(made.folder / "results" / "lamost_tutorial" / "fates.csv")
    assert (fates["reason"] == "no spectrum for these labels").sum() == 1
    # With the archives at hand nothing is asked of the server any more, and nothing is made again.
    assert "Nothing to be done" in made.succeed(*TARGETS, "--configfile", "tutorial.yaml")


def test_an_archive_that_cannot_be_had_stops_with_its_cure(workspace, served, root):
    made = workspace("tutorial_gone")
    with serve(served, {}) as server:
        settings(root, made.folder, server.url, served)
    said = made.fail(TARGETS[0], "--configfile", "tutorial.yaml")
    assert "Bring lamost_labels.fits" in said or "Bring lamost_spectra.tar.gz" in said


@pytest.fixture(scope="module")
def thecannon(root, tmp_path_factory):
    """The package that carries Ness' spectra, where an index can be reached."""
    datasets = read_datasets(root / "resources" / "datasets.csv")
    (part,) = parts_of(datasets, "apogee-dr10")
    folder = tmp_path_factory.getbasetemp().parent / "packages"
    try:
        return fetch_archive(archives(datasets)[part.file], folder)
    except FetchError as error:
        pytest.skip(f"no package index: {error}")


def test_real_giants_get_labels_from_a_package(thecannon, workspace):
    made = workspace("ness")
    packages = made.folder / "results" / "archive" / "registry" / "packages"
    packages.mkdir(parents=True)
    shutil.copyfile(thecannon, packages / thecannon.name)
    targets = ["results/ness2015/validation/cross_validation.csv", "results/ness2015/validation/clusters.csv"]
    made.succeed(*targets, "--configfile", "config/real.yaml")
    table = pd.read_csv(made.folder / targets[0])
    giants = table[(table["scheme"] == "k-fold") & (table["snr_above"] == 0)].set_index("label")
    assert (giants["n"] > 450).all()
    # Ness et al. 2015 print 95 K, .24 and .08 for stars left out, and 150 K, .4 and .12 for clusters left out.
    printed = pd.Series({"teff": 95.0, "logg": 0.24, "m_h": 0.08})
    assert (giants["scatter"] < 1.05 * printed).all()
    whole = table[(table["scheme"] == "whole groups") & (table["snr_above"] == 0)].set_index("label")
    assert (whole["scatter"] < pd.Series({"teff": 150.0, "logg": 0.4, "m_h": 0.12})).all()
    assert (whole["scatter"] > giants["scatter"]).all()
    clusters = pd.read_csv(made.folder / targets[1])
    assert clusters["cluster"].nunique() == 19  # 18 of giants, and all of them

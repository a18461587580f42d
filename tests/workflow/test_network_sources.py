"""The network study from servers with the public archives' addresses, and from a folder of one's own."""

import hashlib
import json

import numpy as np
import pandas as pd
import pytest
import yaml

from labeltransfer.files.tables import read_table
from labeltransfer.validation.statistics import robust_scatter
from tests.misbehaving_server import serve
from tests.workflow.conftest import NETWORK_SMALL
from tests.workflow.test_public import TOKEN, write_settings

ALLSTAR = "sas/dr13/apogee/spectro/redux/r6/stars/l30e/l30e.2/allStar-l30e.2.fits"
CATALOG = "results/ting2017/catalog.fits"


@pytest.fixture(scope="module")
def archive(network_run):
    return network_run / "results" / "archive" / "mock" / "lamost-dr3"


@pytest.fixture(scope="module")
def settings(root):
    return yaml.safe_load((root / "config/config.yaml").read_text())["studies"]["ting2017"]


def test_labels_come_from_the_public_archives_of_its_own_releases(
    network_run, archive, workspace, tmp_path, root
):
    lamost, apogee = tmp_path / "lamost", tmp_path / "apogee"
    places = {
        lamost / "catdl" / "dr3_stellar.fits.gz": archive / "catalogs" / "lamost_mock.fits.gz",
        lamost / "sas" / "fits": archive / "spectra",
        apogee / ALLSTAR: archive / "catalogs" / "apogee_mock.fits",
    }
    for place, file in places.items():
        place.parent.mkdir(parents=True)
        place.symlink_to(file)
    made = workspace("network_public")
    with serve(lamost, {"/catdl*": ["503"]}, token=TOKEN) as survey, serve(apogee) as reference:
        checksum = hashlib.sha256((apogee / ALLSTAR).read_bytes()).hexdigest()
        releases = ("lamost-dr3", "apogee-dr13")
        write_settings(made.folder, root, survey.url, reference.url, checksum, releases, NETWORK_SMALL)
        made.succeed(CATALOG, "--configfile", "public.yaml", LAMOST_TOKEN=TOKEN)
    here, there = read_table(made.folder / CATALOG), read_table(network_run / CATALOG)
    assert (here.meta["archive"], there.meta["archive"]) == ("public", "mock")
    assert here.colnames == there.colnames
    for name in there.colnames:
        np.testing.assert_array_equal(here[name], there[name], err_msg=name)


@pytest.fixture(scope="module")
def own_folder(network_run, archive, settings, workspace):
    """A run on the mock's spectra as if they were one's own, with the labels of the matched stars in a CSV."""
    made = workspace("network_local")
    stars = read_table(network_run / "results" / "ting2017" / "catalogs" / "reference_set.fits").to_pandas()
    labels = [*settings["labels"], *settings["extra_labels"]]
    errors = [f"{name}_err" for name in labels if name != "a_k"]
    stars[["spectrum_id", *labels, *errors]].to_csv(made.folder / "labels_mock.csv", index=False)
    wanted = yaml.safe_load(NETWORK_SMALL.read_text()) | {"source": "local"}
    wanted["archives"]["local"] = {
        "root": str(archive),
        "spectra": "spectra",
        "labels": [str(made.folder / "labels_mock.csv")],
        "id_column": "spectrum_id",
        "match": "spectrum_id",
        "columns": {name: name for name in labels},
        "errors": {name.removesuffix("_err"): name for name in errors},
    }
    # Spectra of one's own have no labels of a survey's pipeline: all are labelled, whatever they are.
    wanted["studies"]["ting2017"]["distance"] = None
    # Nor do its own labels have the flags of APOGEE.
    wanted["studies"]["ting2017"]["cuts"] = [cut for cut in settings["cuts"] if "bits_clear" not in cut]
    (made.folder / "own.yaml").write_text(yaml.safe_dump(wanted))
    made.succeed("--configfile", "own.yaml")
    return made.folder / "results" / "ting2017", stars


def test_a_folder_of_ones_own_makes_everything_but_the_test_that_needs_a_mock(own_folder):
    study, _ = own_folder
    manifest = json.loads((study / "complete.json").read_text())
    assert manifest["archive"] == "local"
    made = {name.rpartition("/")[2] for name in manifest["files"]}
    assert {"catalog.fits", "ledger.parquet", "cramer_rao.csv", "d_scale_scan.csv", "figure_03.png"} <= made
    assert "shift_test.csv" not in made
    assert not (study / "shift_test.csv").exists()


def test_labels_from_a_folder_agree_with_those_of_the_mock(own_folder, network_run, settings):
    study, stars = own_folder
    here = read_table(study / "catalog.fits").to_pandas()
    here["name"] = here["spectrum_id"].str.rpartition("/")[2].str.removesuffix(".gz")
    there = read_table(network_run / CATALOG).to_pandas()
    both = here.merge(there, left_on="name", right_on="spectrum_id", suffixes=("", "_mock"))
    # Every file of the folder is labelled here, the chosen ones there.
    assert len(both) > 0.9 * len(there)
    assert both["trained"].sum() > 34
    for name in settings["labels"]:
        # Stars that so few noisy labels do not reach go anywhere: networks of 8 nodes, 172 stars.
        scatter = robust_scatter(both[name] - both[f"{name}_mock"])
        assert scatter < 0.5 * np.std(both[f"{name}_mock"]), name
    ledger = pd.read_parquet(study / "ledger.parquet")
    assert ledger["fate"].notna().all()
    labelled = ledger[(ledger["catalog"] == "reference") & ledger["fate"].str.startswith("labelled")]
    assert len(labelled) <= len(stars)

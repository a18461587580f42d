"""The public source against servers that hold the mock archive under the archives' own addresses, and misbehave."""

import csv
import hashlib
import itertools
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import pytest
import yaml

from labeltransfer.files.tables import read_table
from labeltransfer.surveys.apogee import read_aspcapstar
from tests.misbehaving_server import serve

SMALL = Path(__file__).with_name("small.yaml")
TOKEN = "s3cret-t0ken"
SPECTRA = "/sas/fits/"
APOGEE = "/sas/dr12/apogee/spectro/redux/r5/"
TARGETS = (
    "results/ho2017/catalog.fits",
    "results/ho2017/ledger.parquet",
    "results/ho2017/archive/example_apogee.fits",
)
# What goes wrong once or twice, and is cured by asking again.
PASSING = (
    ["503"],
    ["drop"],
    ["truncate"],
    ["html"],
    ["wrong bytes"],
    ["trickle"],
    ["no tag"],
    ["chunked drop", "503"],
    ["drop", "no range"],
    ["redirect"],
    ["503 after 1"],
)
# What stays wrong, and what the ledger says of it.
LASTING = {"403": "access refused", "503": "server answered 503", "404": "missing on server"}


@pytest.fixture(scope="module")
def published(small_run, tmp_path_factory):
    """The mock archive under the paths of the public ones: folders of the LAMOST and of the APOGEE server."""
    mock = small_run / "results" / "archive" / "mock" / "lamost-dr2"
    lamost, apogee = tmp_path_factory.mktemp("lamost"), tmp_path_factory.mktemp("apogee")
    places = {
        lamost / "catdl" / "dr2_stellar.fits.gz": mock / "catalogs" / "lamost_mock.fits.gz",
        lamost / "sas" / "fits": mock / "spectra",
        apogee / APOGEE[1:] / "allStar-v603.fits": mock / "catalogs" / "apogee_mock.fits",
        apogee / APOGEE[1:] / "stars" / "l25_6d" / "v603": mock / "aspcap",
    }
    for place, file in places.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(file)
    return lamost, apogee


def write_settings(
    folder, root, lamost, apogee, checksum, releases=("lamost-dr2", "apogee-dr12"), small=SMALL, **public
):
    """Write a configuration and a table of datasets: the repository's own, at the addresses of the servers."""
    with open(root / "resources" / "datasets.csv", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["release"] in releases]
    for row in rows:
        parts = urlsplit(row["url"])
        query = f"?{parts.query}" if parts.query else ""
        if row["release"] == releases[0]:
            row["url"] = f"{lamost}{parts.path}{query}{'&' if query else '?'}token={{token}}"
            row["token_env"] = "LAMOST_TOKEN"
        else:
            row["url"] = f"{apogee}{parts.path}{query}"
        row["checksum"] = f"sha256:{checksum}" if row["dataset"] == "allstar" else ""
    with open(folder / "datasets.csv", "w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    settings = yaml.safe_load(small.read_text()) | {"source": "public"}
    settings["archives"]["public"] = {"datasets": "datasets.csv", "retries": 2, **public}
    (folder / "public.yaml").write_text(yaml.safe_dump(settings))


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def files_with(text, folder):
    """Files below a folder that hold a text, logs and Snakemake's own records among them."""
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


@pytest.fixture(scope="module")
def faults(small_run):
    """Address of a spectrum -> what the server does about it; and the ids of spectra that never come."""
    study = small_run / "results" / "ho2017"
    truth = read_table(small_run / "results" / "archive" / "mock" / "lamost-dr2" / "truth_mock.fits")
    sound = set(truth["spectrum_id"][truth["defect"] == "none"])
    stars = read_table(study / "catalogs" / "survey_set.fits")
    stars = stars[[name in sound for name in stars["spectrum_id"]] & ~stars["sample_only"]]
    reference = read_table(study / "catalogs" / "reference_set.fits")
    reference = reference[[name in sound for name in reference["spectrum_id"]]]
    plan, lost = {}, {}
    paths = iter(stars["path"].tolist())
    for behaviours, path in zip(
        PASSING, itertools.chain(reference["path"][:3].tolist(), paths), strict=False
    ):
        plan[f"{SPECTRA}{path}"] = behaviours
    for (behaviour, reason), path in zip(LASTING.items(), paths, strict=False):
        plan[f"{SPECTRA}{path}"] = itertools.repeat(behaviour)
        lost[Path(path).name.removesuffix(".gz")] = reason
    return plan, lost


@pytest.fixture(scope="module")
def public_run(small_run, workspace, published, faults, root):
    """A run in spite of everything: the workspace, what it printed, the servers as they were left."""
    made = workspace("public")
    plan = {"/catdl*": ["503", "html"], **faults[0]}
    apogee_plan = {f"{APOGEE}allStar*": ["wrong bytes", "drop"], f"{APOGEE}stars/*": ["drop"]}
    with serve(published[0], plan, token=TOKEN) as lamost, serve(published[1], apogee_plan) as apogee:
        checksum = sha256(published[1] / APOGEE[1:] / "allStar-v603.fits")
        write_settings(made.folder, root, lamost.url, apogee.url, checksum)
        arguments = (*TARGETS, "--configfile", "public.yaml", "--resources", "downloads=1")
        printed = made.succeed(*arguments, LAMOST_TOKEN=TOKEN)
        asked = lamost.counts.total(), apogee.counts.total()
        printed_again = made.succeed(*arguments, LAMOST_TOKEN=TOKEN)
        assert asked == (lamost.counts.total(), apogee.counts.total())
    return made, printed, printed_again, lamost, apogee


def fetched(folder):
    """The fetch ledgers of all chunks as one, by spectrum."""
    paths = sorted((folder / "results" / "ho2017" / "archive").glob("*/*-of-*.fits"))
    return pd.concat([read_table(path).to_pandas() for path in paths]).set_index("spectrum_id")


def test_labels_do_not_depend_on_where_the_spectra_came_from(public_run, small_run, faults):
    here = read_table(public_run[0].folder / "results" / "ho2017" / "catalog.fits")
    there = read_table(small_run / "results" / "ho2017" / "catalog.fits")
    assert here.meta["archive"] == "public"
    there = there[[name not in faults[1] for name in there["spectrum_id"]]]
    assert list(here["spectrum_id"]) == list(there["spectrum_id"])
    assert here.colnames == there.colnames
    for name in there.colnames:
        if here[name].dtype.kind == "f":
            # A star fewer in a block changes the order of sums.
            np.testing.assert_allclose(here[name], there[name], rtol=1e-4, atol=1e-4, err_msg=name)
        else:
            np.testing.assert_array_equal(here[name], there[name], err_msg=name)


def test_what_never_came_is_in_the_ledger_with_its_reason(public_run, small_run, faults):
    here = pd.read_parquet(public_run[0].folder / "results" / "ho2017" / "ledger.parquet")
    there = pd.read_parquet(small_run / "results" / "ho2017" / "ledger.parquet")
    pd.testing.assert_frame_equal(here[["catalog", "id", "row"]], there[["catalog", "id", "row"]])
    lines = here[here["catalog"] == "survey"].drop_duplicates("id").set_index("id")
    assert len(faults[1]) == len(LASTING)
    for name, reason in faults[1].items():
        assert tuple(lines.loc[name, ["fate", "stage", "reason"]]) == (
            "rejected",
            "spectra",
            f"not fetched: {reason}",
        )
    # Broken files of the archive are refused at the door; all else has the fate that it had without a network.
    changed = here[(here["fate"] != there["fate"]) | (here["reason"] != there["reason"])]
    assert set(changed["stage"]) == {"spectra"}
    assert changed["reason"].str.startswith("not fetched: ").all()
    assert {
        "not fetched: truncated gzip",
        "not fetched: HTML page instead of a file",
        "not fetched: empty file",
        "not fetched: missing on server",
    } <= set(changed["reason"])


def test_servers_were_asked_again_and_politely(public_run, faults):
    _, _, _, lamost, apogee = public_run
    for address, behaviours in faults[0].items():
        if isinstance(behaviours, list):
            bad = [behaviour for behaviour in behaviours if behaviour not in ("redirect", "no range")]
            assert lamost.counts[address] == len(bad) + 1, address
    ledger = fetched(public_run[0].folder)
    for address, behaviours in faults[0].items():
        name = Path(address).name.removesuffix(".gz")
        assert ledger["status"][name] == ("ok" if isinstance(behaviours, list) else "failed"), address
    assert lamost.counts["/catdl?name=dr2_stellar.fits.gz"] == 3
    assert apogee.counts[f"{APOGEE}allStar-v603.fits"] == 3
    # No more at a time than the configuration allows, nothing twice that came well the first time.
    assert max(lamost.busiest, apogee.busiest) <= 4
    good = [address for address in lamost.counts if address.startswith(SPECTRA) and address not in faults[0]]
    assert sorted(lamost.counts[address] for address in good)[int(0.9 * len(good))] == 1


def test_fetch_ledgers_tell_what_came(public_run):
    ledger = fetched(public_run[0].folder)
    came = ledger[ledger["status"] == "ok"]
    assert len(came) > 400
    for path, size, digest in zip(came["path"], came["bytes"], came["sha256"], strict=True):
        file = public_run[0].folder / path
        assert file.stat().st_size == size
        assert sha256(file) == digest
    catalogue = pd.read_csv(
        public_run[0].folder / "results/archive/public/lamost-dr2/stellar_catalog.ledger.csv"
    )
    assert catalogue["attempts"].tolist() == [3]
    assert not list((public_run[0].folder / "results" / "archive" / "public").rglob("*.part"))


def test_the_apogee_spectrum_of_figure_2_is_fetched_too(public_run, small_run):
    example = read_table(public_run[0].folder / "results" / "ho2017" / "archive" / "example_apogee.fits")
    assert example.meta["reference_id"] == "2M07101078+2931576"
    paths = (small_run / "results/archive/mock/lamost-dr2/aspcap").rglob("*2M07101078+2931576.fits")
    spectrum = read_aspcapstar(next(paths))
    np.testing.assert_array_equal(example["wavelength"], spectrum.wavelength)
    np.testing.assert_array_equal(example["flux"], spectrum.flux)


def test_the_token_is_sent_but_never_written(public_run):
    made, printed, printed_again, lamost, apogee = public_run
    assert all(TOKEN in address for address, _ in lamost.log)
    assert not any(TOKEN in address for address, _ in apogee.log)
    assert TOKEN not in printed + printed_again
    assert files_with("LAMOST_TOKEN", made.folder)  # the search finds what is there
    assert files_with(TOKEN, made.folder) == []


def test_a_finished_run_asks_for_nothing(public_run):
    assert "Nothing to be done" in public_run[2]


def test_what_was_fetched_is_not_fetched_again(public_run, published, root):
    """New addresses: what is there is only checked, and no more is asked for than what is missing."""
    made = public_run[0]
    chunk = "results/ho2017/archive/survey/1-of-2.fits"
    before = read_table(made.folder / chunk)
    with serve(published[0], token=TOKEN) as lamost, serve(published[1]) as apogee:
        checksum = sha256(published[1] / APOGEE[1:] / "allStar-v603.fits")
        write_settings(made.folder, root, lamost.url, apogee.url, checksum)
        printed = made.succeed(chunk, "--configfile", "public.yaml", LAMOST_TOKEN=TOKEN)
        assert "fetching allstar of apogee-dr12" in printed
        assert apogee.counts.total() == 0
        asked = set(lamost.counts)
    after = read_table(made.folder / chunk)
    assert list(after["spectrum_id"]) == list(before["spectrum_id"])
    came = before["status"] == "ok"
    assert set(after["status"][came]) == {"ok"}
    missing = {f"{SPECTRA}{Path(path).parent.name}/{Path(path).name}" for path in before["path"][~came]}
    assert asked == missing
    # What the server refused before, it sends now.
    refused = np.isin(before["reason"], ["access refused", "server answered 503"])
    assert set(after["status"][refused]) == {"ok"}


@pytest.fixture
def fresh(workspace):
    return workspace("fresh")


def test_what_nothing_can_go_on_without_is_an_error_with_its_cure(fresh, published, root):
    allstar = "results/archive/public/apogee-dr12/allstar.fits"
    catalogue = "results/archive/public/lamost-dr2/stellar_catalog.fits"
    with serve(published[0], token=TOKEN) as lamost, serve(published[1]) as apogee:
        write_settings(fresh.folder, root, lamost.url, apogee.url, "0" * 64, retries=0)
        printed = fresh.fail(allstar, catalogue, "--configfile", "public.yaml")
    assert "apogee-dr12 allstar: checksum mismatch after 1 attempts" in printed
    assert "lamost-dr2 stellar_catalog: access refused" in printed
    assert "Set the environment variable LAMOST_TOKEN." in printed
    # The servers are gone now.
    printed = fresh.fail(allstar, "--configfile", "public.yaml")
    assert "apogee-dr12 allstar: connection lost" in printed
    assert "Run again later" in printed
    assert not list((fresh.folder / "results").rglob("*.fits"))


def test_a_server_that_goes_down_half_way_fails_the_job_and_keeps_what_came(
    fresh, published, root, small_run
):
    catalogs = fresh.folder / "results" / "ho2017" / "catalogs"
    catalogs.mkdir(parents=True)
    chunk = "results/ho2017/archive/survey/1-of-2.fits"
    stars = read_table(small_run / "results" / "ho2017" / "catalogs" / "survey_set.fits")
    (catalogs / "survey_set.fits").symlink_to(small_run / "results/ho2017/catalogs/survey_set.fits")
    first = len(stars) // 4
    down = {f"{SPECTRA}{path}": itertools.repeat("503") for path in stars["path"][first:]}
    arguments = (chunk, "--configfile", "public.yaml", "--allowed-rules", "fetch_spectra")
    with serve(published[0], down, token=TOKEN) as lamost:
        write_settings(fresh.folder, root, lamost.url, lamost.url, "0" * 64, retries=0, concurrency=1)
        printed = fresh.fail(*arguments, LAMOST_TOKEN=TOKEN)
        assert "most of them for the reason 'server answered 503'" in printed
        assert "run again later to fetch the rest" in printed
        assert not (fresh.folder / chunk).exists()
        came = sum(1 for path in (fresh.folder / "results" / "archive").rglob("*.gz"))
        assert first - 10 < came <= first
        lamost.faults.clear()
        lamost.pending.clear()
        lamost.counts.clear()
        fresh.succeed(*arguments, LAMOST_TOKEN=TOKEN)
        assert lamost.counts.total() < len(stars) // 2 - came + 20
    ledger = read_table(fresh.folder / chunk)
    assert (ledger["status"] != "failed").mean() > 0.9

"""What the workflow says to bad input: a reason in the ledger, or an error that names the file and the cure."""

import gzip
import io
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from astropy.io import fits

from labeltransfer.files.tables import read_table
from labeltransfer.surveys.lamost import read_spectrum

SMALL = Path(__file__).with_name("small.yaml")
CATALOGS = "results/ho2017/catalogs"


# Configuration.


@pytest.fixture(scope="module")
def here(workspace):
    return workspace("bad")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"sead": 3}, "sead: unknown key 'sead'; known here: run, source, seed"),
        ({"archives": {"mock": {"n_stars": 3}}}, "archives.mock.n_stars: unknown key 'n_stars'"),
        (
            {"studies": {"ho2017": {"labels": {"teff": {"units": "K"}}}}},
            "studies.ho2017.labels.teff.units: unknown key 'units'; known here: column, error, unit",
        ),
        (
            {"archives": {"mock": {"releases": {"dr2": {"n_survey": -5}}}}},
            "archives.mock.releases.dr2.n_survey: -5 is less than the minimum of 0",
        ),
        ({"chunks": {"survey": 0}}, "chunks.survey: 0 is less than the minimum of 1 (Parts of the survey.)"),
        ({"chunks": "many"}, "chunks: 'many' is not of type 'object'"),
        ({"source": "server"}, "source: 'server' is not one of ['mock', 'public', 'local', 'registry']"),
        ({"run": ["mine"]}, "run names the study 'mine', but studies has only ho2017, ting2017"),
        ({"studies": {"My-Study": {}}}, "studies.My-Study: 'My-Study' cannot be a name here"),
    ],
    ids=str,
)
def test_mistakes_in_a_configuration_file_are_named_with_key_and_file(here, settings, expected):
    (here.folder / "mistake.yaml").write_text(yaml.safe_dump(settings))
    printed = here.fail("--dry-run", "--configfile", "mistake.yaml")
    line = next(line for line in printed.splitlines() if expected in line)
    assert "mistake.yaml: " in line
    assert "Traceback" not in printed


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("run=[ho2071]", "run names the study 'ho2071', but studies has only ho2017"),
        ("sead=7", "sead: unknown key 'sead'"),
        ("chunks={survey: few}", "chunks.survey: 'few' is not of type 'integer'"),
    ],
)
def test_mistakes_on_the_command_line_are_named_with_the_key(here, given, expected):
    printed = here.fail("--dry-run", "--config", given)
    line = next(line for line in printed.splitlines() if expected in line)
    assert line.startswith("configuration (no file holds this value")


# Catalogues.


@pytest.fixture(scope="module")
def archive(here, small_run):
    """The catalogues of the small mock archive in a folder where they may be spoilt."""
    folder = here.folder / "results" / "archive" / "mock" / "lamost-dr2"
    shutil.copytree(small_run / "results/archive/mock/lamost-dr2/catalogs", folder / "catalogs")
    return folder / "catalogs"


def without_rows(path):
    content = path.read_bytes()
    with fits.open(io.BytesIO(gzip.decompress(content) if path.suffix == ".gz" else content)) as hdus:
        stream = io.BytesIO()
        fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU(hdus[1].data[:0])]).writeto(stream)
    return stream.getvalue()


def without_column(path):
    with fits.open(io.BytesIO(path.read_bytes())) as hdus:
        columns = fits.ColDefs([column for column in hdus[1].columns if column.name != "AK_WISE"])
        stream = io.BytesIO()
        fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns)]).writeto(stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "spoil", "expected"),
    [
        ("lamost_mock.fits.gz", without_rows, "no rows: expected a table with at least one row, found none"),
        (
            "lamost_mock.fits.gz",
            lambda path: b"<!DOCTYPE html><html>Service unavailable</html>",
            "HTML page instead of a file",
        ),
        (
            "lamost_mock.fits.gz",
            lambda path: gzip.decompress(path.read_bytes())[:100_000],
            "truncated FITS",
        ),
        ("apogee_mock.fits", without_rows, "no rows: expected a table with at least one row, found none"),
        ("apogee_mock.fits", without_column, "missing column: expected a column 'AK_WISE', found columns"),
        ("apogee_mock.fits", lambda path: b"", "empty file"),
    ],
    ids=["no rows", "html", "truncated", "no reference rows", "no column", "empty"],
)
def test_a_useless_catalogue_is_an_error_that_names_it(here, archive, small_run, name, spoil, expected):
    good = (archive / name).read_bytes()
    try:
        (archive / name).write_bytes(spoil(archive / name))
        made = (
            ("survey", "survey_catalog") if name.startswith("lamost") else ("reference", "reference_catalog")
        )
        arguments = (f"{CATALOGS}/{made[0]}.fits", "--configfile", SMALL, "--allowed-rules", made[1])
        printed = here.fail(*arguments)
    finally:
        (archive / name).write_bytes(good)
    line = next(line for line in printed.splitlines() if "ArchiveError: " in line)
    assert f"results/archive/mock/lamost-dr2/catalogs/{name}: {expected}" in line
    # Message and cure are sentences of their own.
    assert line.rstrip().endswith(".")
    assert not (here.folder / CATALOGS / f"{made[0]}.fits").exists()


@pytest.mark.parametrize(
    ("cut", "expected"),
    [
        (
            {"above": 9000},
            "matches.fits: 0 reference stars of 250 matched ones are too few: label distances are to 10",
        ),
        (
            {"above": 5400},
            "matches.fits: 1 reference stars of 250 matched ones are too few: label distances are to 10",
        ),
    ],
    ids=["none", "few"],
)
def test_cuts_that_leave_too_little_say_so(workspace, small_run, cut, expected):
    made = workspace("cuts")
    (made.folder / CATALOGS).mkdir(parents=True)
    for name in ("survey", "reference", "matches", "stars"):
        (made.folder / CATALOGS / f"{name}.fits").symlink_to(small_run / CATALOGS / f"{name}.fits")
    settings = yaml.safe_load(SMALL.read_text())
    settings["studies"]["ho2017"]["cuts"] = [
        {"reason": "label missing", "columns": ["teff", "logg", "fe_h", "alpha_m", "a_k"], "finite": True},
        {"reason": "too cool", "column": "teff", **cut},
    ]
    (made.folder / "cuts.yaml").write_text(yaml.safe_dump(settings))
    arguments = (f"{CATALOGS}/reference_set.fits", "--configfile", "cuts.yaml", "--allowed-rules", "select")
    printed = made.fail(*arguments)
    assert expected in printed
    cure = printed.partition(expected)[2].splitlines()[0]
    assert "22 label missing (studies.ho2017.cuts)" in cure
    assert " without a spectrum (studies.ho2017.match_radius)" in cure


# One's own folder of spectra.


def changed(path, change):
    """Bytes of a spectrum with a change made to the header and the data."""
    with fits.open(io.BytesIO(gzip.decompress(path.read_bytes()))) as hdus:
        change(hdus[0].header, hdus[0].data)
        stream = io.BytesIO()
        hdus.writeto(stream)
    return stream.getvalue()


def set_to(row, value):
    """Give a row of the image one value."""

    def change(header, data):
        data[row] = value

    return change


def without_redshift(header, data):
    header["Z"] = -9999.0


BROKEN = {
    "truncated FITS": lambda path: gzip.decompress(path.read_bytes())[:50_000],
    "truncated gzip": lambda path: path.read_bytes()[:5000],
    "not FITS": lambda path: b"wavelength flux\n3900.0 1.0\n",
    "HTML page instead of a file": lambda path: b"<html><body>404</body></html>",
    "empty file": lambda path: b"",
    "missing redshift": lambda path: changed(path, without_redshift),
    "all pixels bad": lambda path: changed(path, set_to(0, np.nan)),
    "all pixels bad ": lambda path: changed(path, set_to(1, 0.0)),
    "no flux above zero": lambda path: changed(path, set_to(0, -1.0)),
    "wavelength not increasing": lambda path: changed(path, set_to(2, 5000.0)),
}
LOCAL = {
    "run": ["own"],
    "source": "local",
    "archives": {
        "local": {
            "root": "own",
            "spectra": "spectra",
            "labels": ["labels.csv"],
            "id_column": "spectrum",
            "match": "spectrum_id",
            "columns": {"teff": "teff", "logg": "logg", "fe_h": "feh"},
            "errors": {},
        }
    },
    "chunks": {"survey": 1, "reference": 1},
    "studies": {
        "own": {
            "title": "A folder of one's own",
            "paper": None,
            "releases": {"survey": "lamost-own", "reference": "own"},
            "labels": {
                "teff": {"column": "teff", "error": None, "unit": "K"},
                "logg": {"column": "logg", "error": None, "unit": "dex"},
                "fe_h": {"column": "feh", "error": None, "unit": "dex"},
            },
            "nuisance": [],
            "pipeline": {},
            "hold_out": {"fraction": 0.2},
            "match_radius": 3.0,
            "same_star_radius": 3.0,
            "cuts": [{"reason": "label missing", "columns": ["teff", "logg", "fe_h"], "finite": True}],
            "distance": None,
            "model": {
                "kind": "cannon",
                "order": 2,
                "scatter": "exact",
                "errors_in_labels": "none",
                "clip": 4.0,
            },
            "starts": None,
            "validation": {
                "folds": 2,
                "train_fraction": 0.8,
                "bootstrap": 2,
                "min_snr": 20.0,
                "zero_point": False,
            },
            "max_reduced_chi2": 10.0,
            "example_star": None,
            "figures": [5],
        }
    },
}


@pytest.fixture(scope="module")
def own(small_run, workspace):
    """A workspace with spectra of the mock in a folder of one's own, most of them good."""
    made = workspace("own")
    mock = small_run / "results" / "archive" / "mock" / "lamost-dr2"
    truth = read_table(mock / "truth_mock.fits")
    good = truth[(truth["defect"] == "none") & (truth["logg"] < 3.5) & (truth["snr"] > 20)]
    _, first = np.unique(good["star"], return_index=True)
    good = good[np.sort(first)][:190]
    paths = {path.name.removesuffix(".gz"): path for path in (mock / "spectra").rglob("*.gz")}
    names = iter(good["spectrum_id"].tolist())
    folder = made.folder / "own" / "spectra"
    for part in ("plan1", "plan2", "broken"):
        (folder / part).mkdir(parents=True)
    broken = {}
    for number, (reason, spoil) in enumerate(BROKEN.items()):
        path = folder / "broken" / f"bad{number:02d}.fits"
        path.write_bytes(spoil(paths[next(names)]))
        broken[path.relative_to(folder).as_posix()] = reason.strip()
    # Good ones: the same name in two folders, gzip under a plain name, plain under a gzip name.
    name = next(names)
    for part in ("plan1", "plan2"):
        shutil.copy(paths[name], folder / part / f"{name}.gz")
    shutil.copy(paths[next(names)], folder / "plan1" / "plain_name.fits")
    (folder / "plan1" / "gzip_name.fits.gz").write_bytes(gzip.decompress(paths[next(names)].read_bytes()))
    for name in names:
        shutil.copy(paths[name], folder / "plan2" / f"{name}.gz")
    # A file that cannot be named in FITS tables, and one that is no spectrum at all.
    shutil.copy(paths[name], folder / "plan1" / "spéctre.fits.gz")
    (folder / "README.txt").write_text("not a spectrum\n")
    labels = pd.DataFrame(
        {"spectrum": good["spectrum_id"], **{column: good[name] for column, name in
         (("teff", "teff"), ("logg", "logg"), ("feh", "fe_h"))}}
    )  # fmt: skip
    labels.loc[20, "teff"] = -9999.0
    spare = labels.iloc[30:31]
    strangers = spare.assign(spectrum="spec-55555-NOWHERE_sp01-001.fits")
    labels = pd.concat([labels, spare, strangers, spare.assign(spectrum="")])
    labels.to_csv(made.folder / "own" / "labels.csv", index=False)
    (made.folder / "own.yaml").write_text(yaml.safe_dump(LOCAL))
    return made, broken, labels


@pytest.fixture(scope="module")
def own_run(own):
    own[0].succeed(
        "results/own/catalog.fits", "results/own/figures/figure_05.png", "--configfile", "own.yaml"
    )
    return own


def test_every_file_of_a_folder_is_in_the_ledger_with_its_reason(own_run):
    made, broken, _ = own_run
    folder = made.folder / "own" / "spectra"
    ledger = pd.read_parquet(made.folder / "results" / "own" / "ledger.parquet")
    lines = ledger[ledger["catalog"] == "survey"].set_index("id")
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*.fits*")}
    assert set(lines.index) == {ascii(name)[1:-1] for name in files}
    assert lines.index.is_unique
    found = {name: lines["reason"][name] for name in broken}
    assert found == broken
    assert (lines["fate"][list(broken)] == "rejected").all()
    assert lines["reason"]["plan1/sp\\xe9ctre.fits.gz"] == "unsafe file name"


def test_good_files_under_odd_names_are_labelled(own_run):
    made, broken, _ = own_run
    ledger = pd.read_parquet(made.folder / "results" / "own" / "ledger.parquet")
    lines = ledger[ledger["catalog"] == "survey"].set_index("id")
    assert lines["fate"]["plan1/plain_name.fits"].startswith("labelled")
    assert lines["fate"]["plan1/gzip_name.fits.gz"].startswith("labelled")
    twice = lines[lines.index.str.startswith("plan1/spec-")].index[0]
    pair = lines.loc[[twice, twice.replace("plan1", "plan2")]]
    assert sorted(pair["reason"]) == ["", "repeat of a star with a better spectrum"]
    good = lines[~lines.index.isin(list(broken))]
    assert good["fate"].str.startswith("labelled").mean() > 0.95


def test_every_row_of_the_labels_is_in_the_ledger(own_run):
    made, _, labels = own_run
    ledger = pd.read_parquet(made.folder / "results" / "own" / "ledger.parquet")
    lines = ledger[ledger["catalog"] == "reference"]
    assert len(lines) == len(labels)
    assert sorted(lines["id"]) == sorted(labels["spectrum"])
    reasons = set(lines["reason"])
    assert {
        "",
        "held out from training as a test",
        "label missing",
        "no spectrum for these labels",
    } <= reasons
    assert {"no identifier", "duplicate label row"} <= reasons


def test_labels_of_held_out_stars_of_the_folder_are_right(own_run):
    made, _, labels = own_run
    catalog = read_table(made.folder / "results" / "own" / "catalog.fits")
    assert catalog.meta["archive"] == "local"
    held_out = catalog[(catalog["flags"] & 8) > 0]
    assert len(held_out) > 15
    assert not held_out["trained"].any()
    published = [
        read_spectrum(made.folder / "own" / "spectra" / name).spectrum_id for name in held_out["spectrum_id"]
    ]
    known = labels.drop_duplicates("spectrum").set_index("spectrum")
    residual = np.asarray(held_out["teff"]) - known["teff"][published].to_numpy()
    assert np.median(np.abs(residual)) < 80
    assert not (made.folder / "results" / "own" / "validation" / "recovery_mock.csv").exists()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"spectra": "nowhere"}, "own/nowhere: no such folder: expected a folder of spectra"),
        ({"columns": {"teff": "tef", "logg": "logg", "fe_h": "feh"}}, "did you mean teff"),
        ({"labels": ["spectra/README.txt"]}, "README.txt"),
        ({"id_column": "teff"}, "no labels matched"),
    ],
    ids=["folder", "column", "table", "ids"],
)
def test_a_local_archive_that_cannot_be_used_is_an_error_with_its_cure(own, change, expected):
    made = own[0]
    settings = LOCAL | {"archives": {"local": LOCAL["archives"]["local"] | change}, "run": ["wrong"]}
    settings["studies"] = {"wrong": LOCAL["studies"]["own"]}
    (made.folder / "wrong.yaml").write_text(yaml.safe_dump(settings))
    printed = made.fail("results/wrong/catalogs/reference.fits", "--configfile", "wrong.yaml")
    line = next(line for line in printed.splitlines() if "ArchiveError: " in line)
    assert expected in line
    assert line.rstrip().endswith((".", "?"))


@pytest.mark.parametrize(
    ("n", "change", "expected"),
    [
        (
            1,
            {},
            "1 reference stars of 1 matched ones are too few: a model of order 2 in 3 labels is trained on at least 20",
        ),
        (60, {"hold_out": {"fraction": 0.999}}, "set studies.{}.hold_out.fraction to 0, or between"),
        (35, {"hold_out": {"fraction": 0.0}}, "(raise studies.{}.validation.folds to 3)"),
    ],
    ids=["one star", "all held out", "folds"],
)
def test_too_few_stars_stop_before_any_spectrum_is_prepared(own, n, change, expected):
    (made, _, labels), name = own, f"few_{n}"
    # Good files are named by the rows of the labels from where the broken ones end.
    labels.dropna().iloc[40 : 40 + n].to_csv(made.folder / "own" / f"{name}.csv", index=False)
    archive = LOCAL["archives"]["local"] | {"labels": [f"{name}.csv"]}
    settings = LOCAL | {"archives": {"local": archive}, "run": [name]}
    settings["studies"] = {name: LOCAL["studies"]["own"] | change}
    (made.folder / f"{name}.yaml").write_text(yaml.safe_dump(settings))
    printed = made.fail(f"results/{name}/catalog.fits", "--configfile", f"{name}.yaml")
    assert any(
        line.startswith(f"results/{name}/catalogs/matches.fits: ") and expected.format(name) in line
        for line in printed.splitlines()
    )
    assert not (made.folder / "results" / name / "spectra").exists()


def planned(made):
    """Rules that would run if the same line was given again."""
    printed = made.succeed(
        "results/own/catalog.fits", "--configfile", "own.yaml", "--dry-run", "--quiet", "rules"
    )
    return set(re.findall(r"^(\w+) +\d+$", printed, re.M)) - {"total"}


def test_what_changes_in_an_archive_of_ones_own_is_seen(own_run):
    made, _, labels = own_run
    folder, table = made.folder / "own" / "spectra", made.folder / "own" / "labels.csv"
    assert planned(made) == set()
    # Files that are no spectra are nobody's input.
    (folder / "README.txt").write_text("something else\n")
    assert planned(made) == set()
    one = next(iter(sorted((folder / "plan2").glob("*.gz"))))
    content, times = one.read_bytes(), (one.stat().st_atime_ns, one.stat().st_mtime_ns)

    def replace():
        one.write_bytes(content[:5000])

    def put_back():
        one.write_bytes(content)
        os.utime(one, ns=times)

    changes = {
        "replaced": (replace, put_back),
        "removed": (one.unlink, put_back),
        "added": (lambda: shutil.copy(one, folder / "new.fits.gz"), (folder / "new.fits.gz").unlink),
    }
    for change, undo in changes.values():
        change()
        assert {"survey_catalog", "reference_catalog", "prepare", "train", "catalog"} <= planned(made)
        undo()
        assert planned(made) == set()
    # A table that is touched is the same; another one is seen even where it is older than what was made of it.
    content, times = table.read_bytes(), (table.stat().st_atime_ns, table.stat().st_mtime_ns)
    table.touch()
    assert planned(made) == set()
    table.write_bytes(content.replace(b"-9999.0", b"5000.0"))
    os.utime(table, ns=(1, 1))
    assert {"reference_catalog", "train", "catalog"} <= planned(made)
    table.write_bytes(content)
    os.utime(table, ns=times)
    assert planned(made) == set()
    # Of a table of labels the spectra know nothing: they are not read again.
    text = table.read_text()
    labels = pd.read_csv(table)
    labels.loc[labels["spectrum"] == labels["spectrum"][60], "teff"] += 77.0
    labels.to_csv(table, index=False)
    assert {"reference_catalog", "train", "catalog"} <= planned(made)
    assert "survey_catalog" not in planned(made)

    printed = made.succeed("results/own/catalog.fits", "--configfile", "own.yaml")
    assert "own: training on the reference set" in printed
    assert "Eq. 1" not in printed

    # Only parts with another spectrum in them are read again; here one that is not in the reference set.
    chosen = read_table(made.folder / "results" / "own" / "catalogs" / "survey_set.fits")
    other = folder / chosen["path"][0]
    other.write_bytes(gzip.compress(gzip.decompress(other.read_bytes()), 1))
    printed = made.succeed("results/own/catalog.fits", "--configfile", "own.yaml")
    assert "Eq. 1 for the survey spectra" in printed
    assert "Eq. 1 for the reference spectra" not in printed
    assert "own: training on the reference set" not in printed
    assert "k-fold" not in printed
    assert planned(made) == set()
    # One more, of which there is no more to know than that it is there twice.
    shutil.copy(one, folder / "still_again.fits.gz")
    printed = made.succeed("results/own/catalog.fits", "--configfile", "own.yaml")
    assert "Eq. 1" not in printed
    assert "own: training on the reference set" not in printed
    assert "still_again.fits.gz" in set(
        pd.read_parquet(made.folder / "results" / "own" / "ledger.parquet")["id"]
    )
    (folder / "still_again.fits.gz").unlink()

    one.unlink()
    made.succeed("results/own/catalog.fits", "--configfile", "own.yaml")
    table.write_text(text)
    put_back()
    reference = read_table(made.folder / "results" / "own" / "catalogs" / "reference.fits")
    row = reference["reference_id"].tolist().index(str(labels["spectrum"][60]))
    assert reference["teff"][row] == labels["teff"][60]
    ledger = pd.read_parquet(made.folder / "results" / "own" / "ledger.parquet")
    assert one.relative_to(folder).as_posix() not in set(ledger["id"])
    log = (made.folder / "logs" / "own" / "survey_catalog.log").read_text()
    n = (ledger["catalog"] == "survey").sum()
    assert f"{n} spectra in 4 folders; 1 files ignored" in log

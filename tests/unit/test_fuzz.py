"""Damaged files at random: every reader gives an answer or an error that names the file, and nothing else.

`pytest tests/unit/test_fuzz.py --fuzz N` tries N inputs per kind of file; the counts end the report.
"""

import gzip
import re
import resource
import time
import warnings
from functools import partial

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, Table
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from labeltransfer.files.parquet import write_parquet
from labeltransfer.files.tables import read_table, write_table
from labeltransfer.models.cannon import CannonModel
from labeltransfer.models.files import load_model, load_provenance, save_model
from labeltransfer.sources.labels import read_label_table
from labeltransfer.spectra.store import iterate, read_stores, write_store
from labeltransfer.surveys.apogee import read_allstar, read_aspcapstar
from labeltransfer.surveys.lamost import read_catalog, read_spectrum
from labeltransfer.synthesis.model_spectra import STEPPED_LABELS, read_model_spectra
from tests.conftest import FUZZED

DEFAULT = 100  # inputs per kind of file in an ordinary run of the tests
SECONDS, BYTES = 10.0, 2 * 2**30  # what no input of some kilobytes may cost

N_PIX = 60
PIXEL = np.arange(N_PIX)
ROWS = [PIXEL * 0.5 + 3, 1.0 + PIXEL % 7, 10 ** (3.6 + 1e-3 * PIXEL), PIXEL % 11 == 0, PIXEL % 5 == 0]
CARDS = {
    "FILENAME": "spec-55859-F5902_sp01-034.fits",
    "LMJD": 55859,
    "PLANID": "F5902",
    "SPID": 1,
    "FIBERID": "34",
    "RA": 332.5,
    "DEC": -2.25,
    "Z": -0.00025,
    "COEFF0": 3.6,
    "COEFF1": 1e-3,
    "SNRG": 41.5,
    "OBSID": 101034,
}
IDS = ["2M00000001+0000001", "2M00000002+0000002", "2M00000003+0000003"]
LABELS = {"teff": "TEFF", "fe_h": ("PARAM", 1)}


# One sound file of each kind.


def lamost_image(path, kind, names):
    header = fits.Header(CARDS | {"EXTEN0": names})
    fits.PrimaryHDU(np.array(ROWS, dtype=kind), header).writeto(path)


def lamost_table(path):
    names = ("FLUX", "IVAR", "WAVELENGTH", "ANDMASK", "ORMASK")
    columns = [
        fits.Column(name, f"{N_PIX}E", array=[row], bscale=None)
        for name, row in zip(names, ROWS, strict=True)
    ]
    fits.HDUList(
        [fits.PrimaryHDU(None, fits.Header(CARDS)), fits.BinTableHDU.from_columns(columns, name="COADD")]
    ).writeto(path)


def aspcapstar(path):
    header = fits.Header({"CRVAL1": 4.179, "CDELT1": 6e-6})
    fits.HDUList(
        [fits.PrimaryHDU(), *(fits.ImageHDU(np.ones(N_PIX, "f4"), header) for _ in range(3))]
    ).writeto(path)


def allstar(path):
    table = {
        "APOGEE_ID": IDS,
        "RA": [1.0, 2.0, 3.0],
        "DEC": [4.0, 5.0, 6.0],
        "TEFF": [4800.0, 4900.0, -9999.0],
    }
    table |= {
        "PARAM": np.ones((3, 7), "f4"),
        "SNR": [9.0, 8.0, 7.0],
        "ASPCAPFLAG": np.array([0, -(2**31), 1], "i4"),
    }
    table |= {
        "STARFLAG": [0, 1, 2],
        "EXTRATARG": [0, 16, 0],
        "LOCATION_ID": [4287, 1, 1],
        "FIELD": ["M13"] * 3,
    }
    Table(table).write(path, format="fits")


def survey_columns():
    columns = {"obsid": [101, 102, 103], "lmjd": [55859, 55859, 55860], "planid": ["F5902", "GAC_V3", "2011"]}
    columns |= {
        "spid": [1, 12, 3],
        "fiberid": [34, 5, 250],
        "ra": [332.5, 64.0, 0.0],
        "dec": [-2.25, 45.0, 90.0],
    }
    return columns | {
        "snrg": [41.5, -9999.0, 20.0],
        "teff": [4800.5, 5100.0, -9999.0],
        "logg": [2.5, 4.5, 1.0],
    }


def survey_fits(path):
    Table(survey_columns()).write(path, format="fits")


def survey_text(path, mark):
    columns = survey_columns()
    rows = [mark.join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    path.write_text("\n".join([mark.join(columns), *rows]) + "\n")


def labels_text(path, mark):
    rows = [["obsid", "Teff", "feh"], ["101005", "4800", "-0.5"], ["101006", "5000", '"1"'], ["7", "", "nan"]]
    path.write_text("\n".join(mark.join(row) for row in rows) + "\n")


def labels_parquet(path):
    write_parquet(Table({"obsid": [5, 6], "Teff": [4800.0, 5000.0], "feh": ["-0.5", "é"]}), path)


def labels_astropy(path, kind):
    table = Table(
        {"obsid": [101005, 101006], "Teff": [4800.0, np.nan], "feh": MaskedColumn([1, 2], mask=[False, True])}
    )
    table["ra"], table["dec"] = ["12:34:56.7", "00:00:01"], [-1.5, 2.5]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table.write(path, format=kind)


def labels_tables(path):
    one = Table(
        {"obsid": np.array([101005, 101006]), "Teff": [4800.0, 5000.0], "ra": [1.0, -2.0], "dec": [0.0, 1.0]}
    )
    one["feh"] = MaskedColumn([1, 2], mask=[False, True])
    hdus = [fits.BinTableHDU(Table({"sdss_id": [1]}), name="BOSS"), fits.BinTableHDU(one, name="APOGEE")]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path)


def labels_index(path):
    frame = Table({"Teff": [4800.0, 5000.0], "feh": [1, 2], "ra": ["1", "2"], "dec": [0.0, 1.0]}).to_pandas()
    frame["obsid"] = [5, 9]
    frame.set_index("obsid").to_parquet(path)


def labels_vizier(path):
    path.write_text(
        '#Column\tobsid\n\nobsid\tTeff\tfeh\tra\tdec\n \tK\t\t"h:m:s"\t"d:m:s"\n---\t---\t---\t---\t---\n'
        "101005\t4800\t-0.5\t00 05 09.8\t+45 13 45\n101006\t\t\t01 05 09.8\t-45 13 45\n#END#\n"
    )


def ab_initio(path):
    wavelength = np.linspace(3900.0, 9010.0, 20)
    rows = [("sun", 5777.0, 4.4, 0.0, 1.0, "reference", 0.0)]
    for label in STEPPED_LABELS:
        rows += [("sun", 5777.0, 4.4, 0.0, 1.0, label, sign * 0.2) for sign in (1, -1)]
    names = ("reference", "teff", "logg", "m_h", "vmic", "stepped_label", "step")
    spectra = Table(rows=rows, names=names)
    spectra["flux"] = np.full((len(rows), 20), 0.5)
    spectra["continuum"] = np.ones((len(rows), 20))
    spectra["teff"].unit, spectra["vmic"].unit = "K", "km/s"
    wave = Table({"wavelength": wavelength})
    wave["wavelength"].unit = "Angstrom"
    hdus = [
        fits.PrimaryHDU(header=fits.Header({"RESOL": 1800, "WAVEMED": "vacuum", "CODE": "none"})),
        fits.table_to_hdu(spectra),
        fits.table_to_hdu(wave),
    ]
    hdus[1].name, hdus[2].name = "SPECTRA", "WAVELENGTH"
    fits.HDUList(hdus).writeto(path)


def model(path):
    save_model(
        path,
        CannonModel(
            label_names=("teff", "logg"),
            order=2,
            pivot=np.array([4800.0, 2.5]),
            scale=np.array([300.0, 0.7]),
            theta=np.ones((9, 6)),
            scatter=np.ones(9),
            chi2=np.ones(9),
            n_used=np.ones(9, dtype=np.int64),
            status=np.ones(9, dtype=np.int8),
            wavelength=np.linspace(3905, 9000, 9),
        ),
        {"study": "ho2017"},
    )


def store(path):
    stars = Table(
        {"id": np.array(["é", "b", "c"]), "redshift": [0.1, 0.2, 0.3], "flagged": [True, False, True]}
    )
    write_store(path, ROWS[2], [(np.ones((3, N_PIX)), np.ones((3, N_PIX)), stars)], {"seed": 1})


def own_table(path):
    table = Table(
        {"id": IDS, "x": [1.0, 2.0, 3.0], "flag": [True, False, True], "covariance": np.ones((3, 2, 2))}
    )
    table["x"].unit, table["x"].description = "K", "a number"
    write_table(table, path, {"seed": 1})


# What reads them, and what of the answer must hold.


def spectrum(path):
    found = read_spectrum(path)
    assert np.all(np.diff(found.wavelength) > 0)
    assert np.all(np.isfinite(found.flux) & np.isfinite(found.ivar) & (found.ivar >= 0))
    assert len({array.shape for array in found[:5]}) == 1
    assert found.spectrum_id == "input" or "/" not in found.spectrum_id


def catalog(path):
    survey, rejected = read_catalog(path)
    assert all(re.fullmatch(r"[\w.+-]+/spec-[\w.+-]+\.gz", name, re.ASCII) for name in survey["path"])
    assert (rejected["reason"] != "").all()
    for table in (survey, rejected):
        write_table(table, path.with_name("written.fits"))


def reference(path):
    found, rejected = read_allstar(path, LABELS)
    assert all(".." not in name and not name.startswith("/") for name in found["aspcap_path"])
    assert len(set(found["reference_id"].tolist())) == len(found)
    for table in (found, rejected):
        write_table(table, path.with_name("written.fits"))


def labels(path):
    read_label_table(path, {"id": "obsid", "teff": "Teff", "fe_h": "feh"})


def placed_labels(path):
    columns = {name: name for name in ("id", "ra", "dec")} | {"id": "obsid", "teff": "Teff", "fe_h": "feh"}
    found = read_label_table(path, columns, texts=["id"], positions=["ra", "dec"])
    assert found["id"].dtype.kind == "U"
    for name in ("ra", "dec"):
        assert found[name].dtype.kind in "iuf"


def any_model(path):
    load_model(path)
    load_provenance(path)


def spectra(path):
    read_stores([path])
    for _ in iterate(path, 2):
        pass


KINDS = {
    "LAMOST spectrum L0": (partial(lamost_image, kind="f4", names="Flux Inverse Subcontinuum"), spectrum),
    "LAMOST spectrum L1": (partial(lamost_image, kind="f8", names="Flux, Inverse, Wavelength"), spectrum),
    "LAMOST spectrum L2": (partial(lamost_image, kind="f4", names="Flux, Inverse, Wavelength"), spectrum),
    "LAMOST spectrum L3": (lamost_table, spectrum),
    "LAMOST catalogue, FITS": (survey_fits, catalog),
    "LAMOST catalogue, |": (partial(survey_text, mark="|"), catalog),
    "LAMOST catalogue, comma": (partial(survey_text, mark=","), catalog),
    "allStar": (allstar, reference),
    "aspcapStar": (aspcapstar, read_aspcapstar),
    "labels, comma": (partial(labels_text, mark=","), labels),
    "labels, blanks": (partial(labels_text, mark=" "), labels),
    "labels, Parquet": (labels_parquet, labels),
    "labels, indexed Parquet": (labels_index, placed_labels),
    "labels, two tables": (labels_tables, placed_labels),
    "labels, ECSV": (partial(labels_astropy, kind="ascii.ecsv"), placed_labels),
    "labels, VOTable": (partial(labels_astropy, kind="votable"), placed_labels),
    "labels, IPAC": (partial(labels_astropy, kind="ascii.ipac"), placed_labels),
    "labels, MRT": (partial(labels_astropy, kind="ascii.mrt"), placed_labels),
    "labels, VizieR": (labels_vizier, placed_labels),
    "ab initio spectra": (ab_initio, read_model_spectra),
    "table of a step": (own_table, read_table),
    "model": (model, any_model),
    "store of spectra": (store, spectra),
}


# Damage.

PLACE = st.floats(0, 1)
HOSTILE = [
    b"-1",
    b"0",
    b"1",
    b"7",
    b"999",
    b"2147483647",
    b"99999999999999",
    b"9223372036854775807",
    b"1E400",
    b"NaN",
]
HOSTILE += [
    b"'../../x'",
    b"'\\x00'",
    b"T",
    b"",
    b"'1PE(9)'",
    b"'9999999999D'",
    b"'0A'",
    b"=1+1",
    b"\xff\xfe",
    b'"',
    b"\n",
]
CHUNKS = st.one_of(
    st.binary(min_size=1, max_size=40), st.sampled_from([b"\0" * 2880, b" " * 2880, b"\xff" * 512])
)
HIT = st.one_of(
    st.tuples(st.just("byte"), PLACE, st.integers(0, 255)),
    # The first bytes say how to read the rest: they are hit as often as all others.
    st.tuples(st.just("early byte"), PLACE, st.integers(0, 255)),
    st.tuples(st.just("flip"), PLACE, st.integers(0, 7)),
    st.tuples(st.just("insert"), PLACE, CHUNKS),
    st.tuples(st.just("replace"), PLACE, CHUNKS),
    st.tuples(st.just("remove"), PLACE, st.integers(1, 3000)),
    st.tuples(st.just("repeat"), PLACE, st.integers(1, 3000)),
    st.tuples(st.just("value"), PLACE, st.sampled_from(HOSTILE)),
    st.tuples(st.just("value"), PLACE, st.sampled_from(HOSTILE)),
)
WRAPS = ["plain", "plain", "plain", "cut", "gzip", "cut gzip", "flipped gzip", "gzip twice", "two of them"]


def hit(data, kind, place, what):
    """`data` with one piece of damage."""
    at = int(place * max(len(data) - 1, 0))
    if kind == "early byte":
        at = int(place * min(len(data) - 1, 400))
    if kind in ("byte", "early byte"):
        return data[:at] + bytes([what]) + data[at + 1 :]
    if kind == "flip":
        return data[:at] + bytes([data[at] ^ 1 << what]) + data[at + 1 :]
    if kind == "insert":
        return data[:at] + what + data[at:]
    if kind == "replace":
        return data[:at] + what + data[at + len(what) :]
    if kind == "remove":
        return data[:at] + data[at + what :]
    if kind == "repeat":
        return data[:at] + data[at : at + what] * 2 + data[at + what :]
    return with_value(data, place, what)


def with_value(data, place, value):
    """One value replaced: that of a header card in FITS, else what stands between two separators."""
    if data[:6] == b"SIMPLE":
        cards = [at for at in range(0, len(data) - 80, 80) if data[at + 8 : at + 10] == b"= "]
        at = cards[int(place * (len(cards) - 1))] if cards else 0
        return data[: at + 10] + value.rjust(20)[:70].ljust(70) + data[at + 80 :]
    gaps = [found.start() for found in re.finditer(rb"[|,\n ]", data[:5000])] or [0]
    at = gaps[int(place * (len(gaps) - 1))] + 1
    end = re.compile(rb"[|,\n ]|$").search(data, at)
    return data[:at] + value + data[end.start() if end else at :]


def damaged(data, hits, wrap, place):
    for one in hits:
        if data:
            data = hit(data, *one)
    if wrap == "cut":
        return data[: int(place * len(data))]
    if wrap == "two of them":
        return gzip.compress(data, 1) * 2
    if "gzip" in wrap:
        data = gzip.compress(data, 1, mtime=0)
    if wrap == "gzip twice":
        return gzip.compress(data, 1, mtime=0)
    if wrap == "cut gzip":
        return data[: int(place * len(data))]
    if wrap == "flipped gzip":
        return hit(data, "flip", place, 3)
    return data


@pytest.fixture
def little_memory():
    """Room for some more memory, but not for what a damaged size asks for."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + BYTES, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


# astropy leaves a file open when it fails on its first header.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_damage_gives_an_answer_or_an_error_that_names_the_file(kind, tmp_path, request, little_memory):
    make, read = KINDS[kind]
    make(tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    path = tmp_path / "input"
    path.write_bytes(whole)
    read(path)
    count = {"inputs": 0, "refused": 0}

    @settings(
        max_examples=request.config.getoption("fuzz") or DEFAULT,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(HIT, max_size=6), st.sampled_from(WRAPS), PLACE)
    def attempt(hits, wrap, place):
        path.write_bytes(damaged(whole, hits, wrap, place))
        count["inputs"] += 1
        start = time.process_time()
        try:
            read(path)
        except ValueError as error:
            count["refused"] += 1
            refusal = str(error)
        else:
            refusal = str(path)
        assert str(path) in refusal
        assert time.process_time() - start < SECONDS

    attempt()
    assert count["inputs"] >= 50
    assert count["refused"] > 0
    request.config.stash.setdefault(FUZZED, {})[kind] = count

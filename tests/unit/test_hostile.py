"""Files from strangers: nothing is run, no other file is touched, no size is believed, and every name is harmless."""

import ast
import gzip
import io
import re
import tracemalloc
import zlib

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml
from astropy.table import Table
from snakemake.common.configfile import load_configfile
from snakemake_interface_common.exceptions import WorkflowError

from labeltransfer.files import content
from labeltransfer.files import readers as tables
from labeltransfer.files.csvfile import write_csv
from labeltransfer.files.errors import ArchiveError
from labeltransfer.files.tables import read_table, write_table
from labeltransfer.models.cannon import CannonModel
from labeltransfer.models.files import load_model, save_model
from labeltransfer.settings import typed
from labeltransfer.spectra.store import StoreError, read_stores, write_store
from labeltransfer.surveys.apogee import read_allstar, read_aspcapstar
from labeltransfer.surveys.lamost import read_catalog, read_spectrum
from labeltransfer.synthesis.model_spectra import read_model_spectra

READERS = {
    "spectrum": read_spectrum,
    "aspcapStar": read_aspcapstar,
    "catalogue": read_catalog,
    "allStar": lambda path: read_allstar(path, {"teff": "TEFF"}),
    "ab initio": read_model_spectra,
}


# Nothing is run.

MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle", "imp"}
CALLS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "read_pickle",
    "to_pickle",
    "full_load",
    "unsafe_load",
    "system",
}
CALLS |= {"popen", "literal_eval"} - {"literal_eval"}


def calls(tree):
    """Name, last part of the name, and node of every call."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            yield name, name.rpartition(".")[2], node


def unsafe(text):
    """What in a program could run what a file says."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        yield from (name for name in names if name.split(".")[0] in MODULES)
    for name, last, node in calls(tree):
        if last in CALLS and name != "re.compile":
            yield name
        keywords = {word.arg: ast.unparse(word.value) for word in node.keywords}
        if name == "yaml.load" and "Safe" not in ast.unparse(node):
            yield name
        if keywords.get("allow_pickle", "False") != "False" or keywords.get("shell", "False") != "False":
            yield name


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from joblib import load",
        "eval('1')",
        "import os; os.system('x')",
        "np.load(path, allow_pickle=True)",
        "yaml.load(file)",
        "subprocess.run(x, shell=True)",
        "pd.read_pickle(path)",
    ],
)
def test_the_search_for_unsafe_calls_finds_them(text):
    assert list(unsafe(text))


def test_nothing_is_unpickled_or_evaluated(root):
    programs = sorted((root / "workflow").rglob("*.py"))
    assert len(programs) > 80
    assert {str(path): found for path in programs if (found := list(unsafe(path.read_text())))} == {}
    rules = [root / "workflow" / "Snakefile", *sorted((root / "workflow" / "rules").glob("*.smk"))]
    pattern = re.compile(r"\b(pickle|eval|exec|os\.system|yaml\.load|allow_pickle|shell=True)\b")
    assert {str(path): found for path in rules if (found := pattern.findall(path.read_text()))} == {}


def test_a_shell_command_is_given_no_text_from_outside(root):
    for path in sorted((root / "workflow" / "rules").glob("*.smk")):
        for command in re.findall(r"^    shell:\n((?:        .*\n|\n)+)", path.read_text(), re.M):
            used = set(re.findall(r"\{(\w+)", command))
            assert used <= {"input", "output", "log", "threads"}, path


def test_configuration_can_make_plain_values_only(tmp_path):
    owned = tmp_path / "owned"
    text = f"seed: !!python/object/apply:os.system ['touch {owned}']"
    with pytest.raises(yaml.YAMLError):
        yaml.safe_load(text)
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(WorkflowError, match="not valid"):
        load_configfile(str(tmp_path / "config.yaml"))
    # From the command line too: what is no plain value stays the text that it is.
    given = f"!!python/object/apply:os.system ['touch {owned}']"
    assert typed({"seed": [given]}) == {"seed": [given]}
    assert not owned.exists()


# No size is believed.


def table_bytes(**columns):
    stream = io.BytesIO()
    Table(columns).write(stream, format="fits")
    return stream.getvalue()


def with_card(data, keyword, value):
    """Bytes of a FITS file with every card of this name changed."""
    cards = [data[at : at + 80] for at in range(0, len(data), 80)]
    card = f"{keyword:8}= {value:>20}".ljust(80).encode()
    return b"".join(card if one.startswith(f"{keyword:8}=".encode()) else one for one in cards)


@pytest.fixture
def allstar_bytes():
    return table_bytes(APOGEE_ID=["2M0", "2M1"], RA=[1.0, 2.0], DEC=[3.0, 4.0], TEFF=[4800.0, 4900.0])


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("NAXIS2", 10**13),
        ("NAXIS1", 10**13),
        ("PCOUNT", 10**15),
        ("GCOUNT", 10**12),
        ("NAXIS", 999),
        ("NAXIS2", -1),
        ("BITPIX", 7),
        ("TFIELDS", 10**9),
    ],
)
def test_a_header_that_announces_terabytes_costs_nothing(tmp_path, allstar_bytes, reader, keyword, value):
    path = tmp_path / "huge.fits"
    path.write_bytes(with_card(allstar_bytes, keyword, value))
    tracemalloc.start()
    with pytest.raises(ArchiveError, match=re.escape(str(path))):
        READERS[reader](path)
    assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    tracemalloc.stop()


def test_rows_without_width_are_refused(tmp_path, allstar_bytes):
    data = with_card(with_card(allstar_bytes, "NAXIS1", 0), "NAXIS2", 10**15)
    for number in range(1, 5):
        data = with_card(data, f"TFORM{number}", "'0A'")
    path = tmp_path / "flat.fits"
    path.write_bytes(data)
    with pytest.raises(ArchiveError, match="rows of 0 bytes"):
        READERS["allStar"](path)


def bomb(size):
    """A gzip file that unpacks to `size` zeros, a thousandth as long."""
    squeeze = zlib.compressobj(9, wbits=31)
    block = bytes(2**20)
    return b"".join([*(squeeze.compress(block) for _ in range(size // 2**20)), squeeze.flush()])


@pytest.mark.parametrize("reader", READERS)
def test_gzip_without_end_is_stopped(tmp_path, monkeypatch, reader):
    monkeypatch.setattr(tables, "TABLE_LIMIT", 2**24)
    monkeypatch.setattr("labeltransfer.synthesis.model_spectra.TABLE_LIMIT", 2**24)
    path = tmp_path / "bomb.fits.gz"
    path.write_bytes(bomb(2**27))
    with pytest.raises(ArchiveError, match="file too large") as caught:
        READERS[reader](path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("reader", READERS)
def test_gzip_within_gzip_is_opened_once(tmp_path, reader, allstar_bytes):
    path = tmp_path / "nested.fits.gz"
    data = allstar_bytes
    for _ in range(5):
        data = gzip.compress(data)
    path.write_bytes(data)
    with pytest.raises(ArchiveError, match="nested"):
        READERS[reader](path)


def test_members_of_a_gzip_file_are_read_to_the_last(tmp_path):
    rows = [f"10{i},55859,F5902,1,{i},10.0,20.0" for i in range(3)]
    pieces = ["obsid,lmjd,planid,spid,fiberid,ra,dec\n", *(f"{row}\n" for row in rows)]
    path = tmp_path / "members.csv.gz"
    path.write_bytes(b"".join(gzip.compress(piece.encode()) for piece in pieces))
    assert len(read_catalog(path)[0]) == 3
    path.write_bytes(path.read_bytes() + bytes(512))
    assert len(read_catalog(path)[0]) == 3, "padding behind the last member"
    path.write_bytes(path.read_bytes()[:-520])
    with pytest.raises(ArchiveError, match="truncated gzip"):
        read_catalog(path)


def test_many_members_count_together(tmp_path):
    with pytest.raises(ArchiveError, match="file too large"):
        content.gunzip(gzip.compress(bytes(1000)) * 50, "members", 10_000)


# Names.

NAMES = [
    "../../../etc/passwd",
    "/etc/passwd",
    "..",
    "a/../b",
    "C:\\x",
    "new\nline",
    "ta\tb",
    "é",
    "\u202egnp",
]
NAMES += [
    "-rf",
    "$(touch x)",
    "`x`",
    "a;b",
    "a b",
    "%00",
    "{obsid}",
    "{0.__class__}",
    "\x1b[31m",
    "=1+1",
    "x" * 5000,
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_plan_of_any_name_leads_to_no_path(tmp_path, name):
    path = tmp_path / "catalog.csv"
    plans = {"planid": ["F5902", name], "fiberid": [1, 2]}
    frame = pd.DataFrame({"lmjd": 55859, **plans, "spid": 1, "ra": 1.0, "dec": 2.0})
    frame.to_csv(path, index=False)
    survey, rejected = read_catalog(path)
    assert survey["spectrum_id"].tolist() == ["spec-55859-F5902_sp01-001.fits"]
    assert survey["path"].tolist() == ["F5902/spec-55859-F5902_sp01-001.fits.gz"]
    assert rejected["reason"].tolist() == ["unsafe file name"]
    written = rejected["id"][0]
    assert written.isascii()
    assert written.isprintable()
    assert len(written) < 200
    write_table(rejected, tmp_path / "rejected.fits")
    assert read_table(tmp_path / "rejected.fits")["id"].tolist() == [written]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_star_of_any_name_is_written_or_rejected(tmp_path, name):
    path = tmp_path / "allstar.csv"
    columns = {
        "APOGEE_ID": ["2M0", name],
        "LOCATION_ID": 4287,
        "FIELD": "M13",
        "RA": 1.0,
        "DEC": 2.0,
        "TEFF": 4800.0,
    }
    pd.DataFrame(columns).to_csv(path, index=False)
    reference, rejected = read_allstar(path, {"teff": "TEFF"})
    ids = [*reference["reference_id"], *rejected["id"]]
    assert len(ids) == 2
    assert ids[0] == "2M0"
    plain = name.strip() == name and name.isascii() and name.isprintable() and len(name) <= 100
    assert len(reference) == 1 + plain
    assert rejected["reason"].tolist() == ([] if plain else ["unsafe identifier"])
    assert all(".." not in place and not place.startswith("/") for place in reference["aspcap_path"])
    for table in (reference, rejected):
        write_table(table, tmp_path / "written.fits")


@pytest.mark.parametrize("before", [0, 1000], ids=["early", "late"])
def test_a_zero_byte_ends_no_name(tmp_path, before):
    path = tmp_path / "catalog.csv"
    row = "55859,{},1,{},1.0,2.0\n".format
    text = "lmjd,planid,spid,fiberid,ra,dec\n" + "".join(row("F5902", number) for number in range(before))
    path.write_text(text + row("F5902\0/../x", 7) + row("F5903", 8))
    if before:
        survey, rejected = read_catalog(path)
        assert len(survey) == before + 1
        assert rejected["reason"].tolist() == ["unsafe file name"]
    else:
        with pytest.raises(ArchiveError, match="not a table"):
            read_catalog(path)


def test_cells_that_a_spreadsheet_would_run_are_text(tmp_path):
    cells = [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\n=1",
        '=HYPERLINK("http://x","y")',
        "plain",
        "1,=2",
        "1\r=2",
    ]
    write_csv(pd.DataFrame({"id": cells, "=column": 1.0}), tmp_path / "ids.csv")
    found = pd.read_csv(tmp_path / "ids.csv")
    assert list(found.columns) == ["id", "'=column"]
    assert found["id"].tolist() == [f"'{cell}" for cell in cells[:7]] + [*cells[7:9], "1\\r=2"]
    assert found["'=column"].tolist() == [1.0] * len(cells), "numbers stay numbers"


# HDF5.


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "store.h5"
    stars = Table({"id": ["a", "b"], "redshift": [0.1, 0.2]})
    write_store(path, np.linspace(4000, 5000, 7), [(np.ones((2, 7)), np.ones((2, 7)), stars)])
    return path


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.h5"
    arrays = {name: np.ones(9) for name in ("scatter", "chi2", "wavelength")}
    counts = {name: np.ones(9, dtype=np.int64) for name in ("n_used", "status")}
    one = CannonModel(
        ("teff",), 2, np.ones(1), np.ones(1), np.ones((9, 3)), arrays["scatter"], arrays["chi2"], **counts
    )
    save_model(path, one, {})
    return path


def external_link(file, name, other):
    del file[name]
    file[name] = h5py.ExternalLink(str(other), "secret")


def soft_link(file, name, other):
    file.move(name, "elsewhere")
    file[name] = h5py.SoftLink("/elsewhere")


def external_storage(file, name, other):
    shape, dtype = file[name].shape, file[name].dtype
    del file[name]
    raw = other.with_name("raw")
    raw.write_bytes(bytes(4096))
    file.create_dataset(name, shape, dtype, external=[(str(raw), 0, h5py.h5f.UNLIMITED)])


def virtual(file, name, other):
    shape, dtype = file[name].shape, file[name].dtype
    del file[name]
    layout = h5py.VirtualLayout(shape, dtype)
    layout[...] = h5py.VirtualSource(str(other), "secret", shape)
    file.create_virtual_dataset(name, layout)


def references(file, name, other):
    shape = file[name].shape
    del file[name]
    file.create_dataset(name, shape, dtype=h5py.ref_dtype)


def texts(file, name, other):
    shape = file[name].shape
    del file[name]
    file.create_dataset(name, shape, dtype=h5py.string_dtype())


def terabytes(file, name, other):
    shape, dtype = file[name].shape, file[name].dtype
    del file[name]
    file.create_dataset(name, (10**9, *shape[1:]), dtype, chunks=(1000, *shape[1:]))


def deep_groups(file, name, other):
    file.create_group("stars/a/b/c") if "stars" in file else file.create_group("a/b/c")


def strange_attribute(file, name, other):
    file.attrs["format"] = np.arange(5)


STRANGE = [external_link, soft_link, external_storage, virtual, references, texts, terabytes, deep_groups]
STRANGE += [strange_attribute]


@pytest.mark.parametrize("change", STRANGE, ids=lambda change: change.__name__)
def test_hdf5_that_is_more_than_its_own_arrays_is_refused(tmp_path, store, model, change):
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["secret"] = np.ones((2, 7), dtype="f4")
    for path, name, read, kind in (
        (store, "flux", lambda path: read_stores([path]), StoreError),
        (model, "scatter", load_model, ValueError),
    ):
        read(path)
        with h5py.File(path, "r+") as file:
            change(file, name, other)
        with pytest.raises(kind, match=re.escape(str(path))):
            read(path)


def test_links_in_a_ring_end(store):
    with h5py.File(store, "r+") as file:
        file["stars/again"] = file["stars"]
    with pytest.raises(StoreError, match="group within"):
        read_stores([store])


def test_tables_of_objects_are_not_written(tmp_path):
    with pytest.raises(ValueError, match="Python objects"):
        write_table(Table({"x": np.array([object()], dtype=object)}), tmp_path / "objects.fits")
    assert list(tmp_path.iterdir()) == []


def test_flags_that_are_no_numbers_and_columns_that_are_vectors(tmp_path):
    path = tmp_path / "odd.fits"
    star = {"APOGEE_ID": ["2M0"], "RA": [1.0], "DEC": [2.0], "TEFF": [4800.0]}
    path.write_bytes(table_bytes(**star, ASPCAPFLAG=["none"], STARFLAG=[np.nan]))
    reference, _ = READERS["allStar"](path)
    assert (reference["aspcapflag"][0], reference["starflag"][0]) == (0, 0)
    path.write_bytes(table_bytes(**(star | {"RA": [[1.0, 2.0]]})))
    with pytest.raises(ArchiveError, match=r"odd\.fits: missing column: expected RA to be single values"):
        READERS["allStar"](path)
    survey = {name: [1] for name in ("lmjd", "planid", "spid", "fiberid", "ra", "dec")}
    path.write_bytes(table_bytes(**(survey | {"spid": [[1, 2]]})))
    with pytest.raises(ArchiveError, match=r"odd\.fits: missing column: expected spid to be single values"):
        read_catalog(path)


def test_numbers_beyond_all_measure_identify_nothing(tmp_path):
    path = tmp_path / "large.csv"
    rows = ["55859,F5902,1,1,1.0,2.0", "9e17,F5902,4e18,4e18,1.0,2.0", "55859,F5902,1,1,1.0,2.0"]
    path.write_text("\n".join(["lmjd,planid,spid,fiberid,ra,dec", *rows]))
    survey, rejected = read_catalog(path)
    assert len(survey) == 1
    assert rejected["reason"].tolist() == ["no identifier", "duplicate spectrum id"]


def test_a_table_of_a_step_with_axes_without_end_is_refused_at_once(tmp_path):
    path = tmp_path / "axes.fits"
    write_table(Table({"x": [1.0]}), path)
    path.write_bytes(with_card(path.read_bytes(), "NAXIS", 10**13))
    with pytest.raises(ValueError, match=r"axes\.fits"):
        read_table(path)

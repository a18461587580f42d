"""Do the steps that handle whole catalogues take memory for their blocks, and little for each row?"""

import sys

import numpy as np
import pandas as pd
import pytest

from benchmarks import catalogue_scale
from labeltransfer.files.tables import read_table

BLOCK = 4096
SIZES = ((20_000, 4_000, 3_000), (100_000, 20_000, 15_000))
CHUNKS = ({"reference": 2, "survey": 4}, {"reference": 10, "survey": 20})
# Ids, positions and what a k-d tree makes of them take some 200 bytes; whole tables in memory took 1,700 and more.
BYTES_PER_ROW = 700


@pytest.mark.skipif(sys.platform != "linux", reason="the peak memory of a process has other units elsewhere")
def test_memory_grows_by_little_more_than_the_ids(tmp_path):
    steps = ("survey_catalog", "reference_catalog", "crossmatch", "select", "catalog")
    peaks = []
    for number, (sizes, chunks) in enumerate(zip(SIZES, CHUNKS, strict=True)):
        folder = tmp_path / str(number)
        folder.mkdir()
        found = catalogue_scale.run_all(folder, sizes, chunks, steps, BLOCK)
        peaks.append({step: megabytes for step, _, _, megabytes in found})
    rows = SIZES[1][0] - SIZES[0][0]
    growth = {step: (peaks[1][step] - peaks[0][step]) * 2**20 / rows for step in steps}
    assert all(each < BYTES_PER_ROW for each in growth.values()), growth
    assert catalogue_scale.count_rows(tmp_path / "1" / "catalog.fits") > 15_000


def test_what_is_measured_is_the_whole_thing(tmp_path, monkeypatch):
    for module in (catalogue_scale.tables, catalogue_scale.readers, catalogue_scale.ledger):
        monkeypatch.setattr(module, "BLOCK", module.BLOCK)
    folder, chunks = tmp_path, {"reference": 2, "survey": 3}
    catalogue_scale.make_catalogues(folder, 3000, 900, 1500)
    for step in ("survey_catalog", "reference_catalog", "crossmatch", "select"):
        catalogue_scale.run_step(step, folder, chunks, block=256)
    catalogue_scale.make_labels(folder, chunks)
    catalogue_scale.run_step("catalog", folder, chunks, block=256)
    ledger = pd.read_parquet(folder / "ledger.parquet")
    assert ledger["catalog"].value_counts().to_dict() == {"survey": 3000, "reference": 1500}
    assert (ledger["fate"] != "").all()
    catalog = read_table(folder / "catalog.fits")
    labelled = ledger["fate"].str.startswith("labelled")
    assert len(catalog) > 500
    assert sorted(ledger["id"][labelled]) == catalog["spectrum_id"].tolist()
    parquet = pd.read_parquet(folder / "catalog.parquet")
    assert parquet["spectrum_id"].tolist() == catalog["spectrum_id"].tolist()
    np.testing.assert_array_equal(parquet["teff_total"], catalog["teff_total"])
    # Neither the blocks nor what else was read with them shows in the values.
    one = read_table(folder / "labels" / "survey" / "2-of-3.fits")
    row = np.flatnonzero(catalog["spectrum_id"] == one["id"][5])
    np.testing.assert_array_equal(catalog["teff"][row], np.float32(one["teff"][5]))

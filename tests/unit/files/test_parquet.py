"""Tables as Parquet."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from labeltransfer.files.parquet import write_parquet, write_parquet_blocks
from tests.unit.files.own_tables import a_table, long_table


def test_parquet_in_blocks_holds_the_same(tmp_path):
    table = long_table(100)
    table["teff"] = np.arange(100.0)
    write_parquet(table, tmp_path / "whole.parquet", {"seed": 1})
    write_parquet_blocks(
        (table[i : i + 30] for i in range(0, 100, 30)), tmp_path / "blocks.parquet", {"seed": 1}
    )
    assert pq.read_table(tmp_path / "whole.parquet").equals(pq.read_table(tmp_path / "blocks.parquet"))
    assert pq.read_schema(tmp_path / "whole.parquet").equals(
        pq.read_schema(tmp_path / "blocks.parquet"), check_metadata=True
    )
    assert pq.ParquetFile(tmp_path / "blocks.parquet").num_row_groups == 4


def test_parquet_keeps_values_units_and_provenance(tmp_path):
    path = tmp_path / "t.parquet"
    write_parquet(a_table(), path, {"version": 2})
    frame = pd.read_parquet(path)
    np.testing.assert_array_equal(frame["teff"], a_table()["teff"])
    assert frame["id"].tolist() == ["spec-1.fits", "spec-22.fits"]
    np.testing.assert_array_equal(np.stack(frame["covariance"]).reshape(2, 3, 3), a_table()["covariance"])
    schema = pq.read_schema(path)
    assert schema.field("teff").metadata == {b"unit": b"K", b"description": b"effective temperature"}
    assert schema.metadata[b"provenance"] == b'{"study": "mock", "version": 2}'

"""Tables as CSV."""

import numpy as np
import pandas as pd

from labeltransfer.files.csvfile import read_chosen, write_csv


def test_csv_cannot_run_formulas(tmp_path):
    frame = pd.DataFrame(
        {"id": ["=cmd()", "+1", "-x", "@y", "plain", "a=b"], "bias": [-3.5, 1e-9, np.nan, 0, 1, 2]}
    )
    write_csv(frame, tmp_path / "t.csv")
    lines = (tmp_path / "t.csv").read_text().splitlines()
    assert lines == ["id,bias", "'=cmd(),-3.5", "'+1,1e-09", "'-x,nan", "'@y,0.0", "plain,1.0", "a=b,2.0"]
    assert frame["id"][0] == "=cmd()"


def test_the_chosen_row_gives_its_number(tmp_path):
    frame = pd.DataFrame({"ridge": [1e-4, 1e-3, 1e-2], "chosen": [False, True, False]})
    write_csv(frame, tmp_path / "t.csv")
    assert read_chosen(tmp_path / "t.csv", "ridge") == 1e-3

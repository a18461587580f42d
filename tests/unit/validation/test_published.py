"""The published numbers, and the comparison with them."""

import numpy as np
import pandas as pd
import pytest

from labeltransfer.validation.published import NOT_MEASURED, published_vs_here, read_published


@pytest.fixture(scope="module")
def published(root):
    return read_published(root / "resources" / "published" / "ho2017.csv")


def value(table, quantity, label=""):
    return table.loc[(table["quantity"] == quantity) & (table["label"] == label), "value"].item()


def test_the_table_adds_up_with_the_paper(published):
    assert value(published, "test_stars") + value(published, "reference_stars") == value(
        published, "catalogue_stars"
    )
    assert value(published, "scatter", "teff") == 68.8
    assert value(published, "bias", "teff") == -3.44
    assert value(published, "bootstrap_error", "alpha_m") == 0.0042
    # Figure 7 at S/N 70 and above must agree with Figure 5 at S/N > 50; both pipelines have six bins.
    for label, scatter in published.loc[published["quantity"] == "scatter", ["label", "value"]].to_numpy():
        if label != "a_k":
            assert value(published, "scatter_cannon_snr_70", label) == pytest.approx(scatter, rel=0.25)
    for snr in (10, 30, 50, 70, 90, 110):
        for label in ("teff", "logg", "fe_h"):
            cannon = value(published, f"scatter_cannon_snr_{snr}", label)
            assert cannon < value(published, f"scatter_pipeline_snr_{snr}", label)
    assert len(published) == 88


def test_the_first_paper_of_the_cannon_prints_what_it_can_be_held_to(root):
    table = read_published(root / "resources" / "published" / "ness2015.csv")
    assert [value(table, "scatter", label) for label in ("teff", "logg", "m_h")] == [95, 0.24, 0.08]
    for label, unit in (("teff", "K"), ("logg", "dex"), ("m_h", "dex")):
        assert set(table.loc[table["label"] == label, "unit"]) == {unit}
        # Left out with its cluster, a star is found less well; and nothing is as good as formal errors say.
        assert value(table, "scatter_left_out_cluster", label) > value(table, "scatter", label)
        assert value(table, "survey_scatter", label) > 10 * value(table, "formal_error", label)
        assert value(table, "label_lowest", label) < value(table, "label_highest", label)
    # All that is not in the abstract is of the manuscript.
    assert (table["where"].eq("Abstract") == table["source"].eq("T")).all()


def test_units_fit_the_labels(published):
    unit = {"teff": "K", "logg": "dex", "fe_h": "dex", "alpha_m": "dex", "a_k": "mag"}
    labelled = published[published["label"].isin(list(unit))]
    assert len(labelled) > 60
    assert (labelled["unit"] == labelled["label"].map(unit)).all()


def test_comparison_has_every_number_and_says_why_one_is_missing(published):
    measured = {
        ("scatter", "teff"): 34.4,
        ("bias", "teff"): np.nan,
        ("training_time", ""): "measured on another machine",
        ("pixels", ""): np.int64(3626),
    }
    table = published_vs_here(published, measured, "mock").set_index(["quantity", "label"])
    assert len(table) == len(published)
    assert table.loc[("scatter", "teff"), "ratio"] == pytest.approx(0.5)
    assert table.loc[("pixels", ""), "ratio"] == 1
    assert np.isnan(table.loc[("bias", "teff"), "here"])
    assert table.loc[("bias", "teff"), "note"].endswith("; no finite value here")
    assert table.loc[("training_time", ""), "note"].endswith("; measured on another machine")
    assert table.loc[("scatter", "logg"), "note"].endswith(NOT_MEASURED)
    assert table.loc[("scatter", "teff"), "where"] == "Fig. 5 [F]"
    assert (table["archive"] == "mock").all()
    assert table["here"].notna().sum() == 2


def test_a_misspelt_quantity_is_an_error(published):
    with pytest.raises(ValueError, match="scater"):
        published_vs_here(published, {("scater", "teff"): 1.0}, "mock")


def test_a_published_zero_has_no_ratio():
    table = pd.DataFrame([["q", "", 0.0, "", "w", "T", ""]], columns=list("abcdefg"))
    table.columns = ["quantity", "label", "value", "unit", "where", "source", "note"]
    assert np.isnan(published_vs_here(table, {("q", ""): 1.0}, "mock")["ratio"][0])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("q,,many,stars,Fig. 1,T,", "value is no finite number for q"),
        ("q,,1,stars,Fig. 1,X,", "source must be one of T, F, I for q"),
        ("q,l,1,stars,Fig. 1,T,\nq,l,2,stars,Fig. 1,T,", "recur: q l"),
    ],
)
def test_a_bad_table_is_named(tmp_path, line, message):
    path = tmp_path / "paper.csv"
    path.write_text(f"quantity,label,value,unit,where,source,note\n{line}\n")
    with pytest.raises(ValueError, match=rf"paper\.csv: .*{message}"):
        read_published(path)
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="expected columns quantity, label"):
        read_published(path)

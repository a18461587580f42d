"""Titles of axes, and files that appear whole."""

import pytest

from labeltransfer.figures import style


@pytest.mark.parametrize(
    ("title", "text"),
    [
        (style.axis_title("teff"), r"$T_{\rm eff}$ (K)"),
        (style.axis_title("a_k", before="Cannon"), r"Cannon $A_K$ (mag)"),
        (style.axis_title("mg_h"), "[Mg/H] (dex)"),
    ],
)
def test_axis_titles(title, text):
    assert title == text


def test_a_failed_save_leaves_the_old_file_and_no_part(tmp_path, monkeypatch):
    (tmp_path / "a.pdf").write_text("old")
    figure = style.new_figure(2, 2)

    def fail(path, **_):
        path.write_text("half")
        raise OSError("disk full")

    monkeypatch.setattr(figure, "savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        style.save(figure, tmp_path / "a.pdf", tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.pdf"]
    assert (tmp_path / "a.pdf").read_text() == "old"

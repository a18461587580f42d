"""A folder of spectra of one's own."""

import pytest

from tests.unit.sources.own_folder import put_spectrum


@pytest.fixture
def folder(tmp_path):
    """Six files: four good ones, of which two are one observation, one without redshift; two bad ones."""
    folder = tmp_path / "spectra"
    put_spectrum(folder, "dr9/spec-55859-F5902_sp01-005.fits.gz", 101005, zipped=True)
    put_spectrum(folder, "dr5/spec-55859-F5902_sp01-005.fits", 101005, ra=10.0001)
    put_spectrum(folder, "dr5/spec-55859-F5902_sp01-006.fits", 101006, ra=50.0, redshift=-9999)
    put_spectrum(folder, "old/spec-55859-F5902_sp01-007.FITS", ra=60.0, dec=-30.0, snrg=-9999.0)
    (folder / "old" / "broken.fits").write_text("sorry")
    put_spectrum(folder, "old/nowhere.fits", 5, ra=-9999)
    (folder / "README.txt").write_text("not a spectrum")
    (folder / "old" / "loop").symlink_to(folder)
    return folder

"""Real LAMOST files of every layout through specutils and back."""

import numpy as np
import pytest

from labeltransfer.surveys.for_specutils import LABEL, register
from labeltransfer.surveys.lamost import read_spectrum
from labeltransfer.surveys.through_specutils import read_with_specutils

pytestmark = pytest.mark.real
STEP = 20  # every so manieth file


@pytest.fixture(scope="module")
def specutils():
    module = pytest.importorskip("specutils")
    register()
    return module


@pytest.fixture(scope="module")
def files(real_data):
    """Some files of every collection."""
    folders = sorted(path for path in (real_data / "lamost_spectra").rglob("*") if path.is_dir())
    found = []
    for folder in folders:
        found += sorted(path for path in folder.iterdir() if path.name.endswith((".fits", ".fits.gz")))[
            ::STEP
        ]
    return found


def test_real_files_go_through_specutils_unchanged(specutils, files):
    layouts = set()
    for path in files:
        direct, found = read_spectrum(path), read_with_specutils(path)
        layouts.add(direct.layout)
        for name in direct._fields:
            expected, value = getattr(direct, name), getattr(found, name)
            if name == "redshift":
                np.testing.assert_allclose(value, expected, rtol=0, atol=1e-15, err_msg=str(path))
            else:
                np.testing.assert_array_equal(value, expected, err_msg=f"{path} {name}")
    assert layouts == {"L0", "L1", "L2", "L3"}


def test_specutils_takes_real_files_for_lamost(specutils, files):
    for path in files[::5]:
        assert LABEL in specutils.io.registers.identify_spectrum_format(str(path))
        (listed,) = specutils.SpectrumList.read(str(path))
        assert listed.spectral_axis.unit == "Angstrom"
        assert listed.meta["medium"] == "vacuum"

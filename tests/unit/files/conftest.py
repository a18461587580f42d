"""An archive of one file."""

import gzip

import pytest
from astropy.io import fits

NAME = "/sas/fits/PLAN/spec-55859-PLAN_sp01-034.fits.gz"


@pytest.fixture
def archive(tmp_path, rng):
    """A folder with a gzipped spectrum of noise, 150 kB that do not compress, and the same file plain."""
    folder = tmp_path / "archive"
    plain = folder / "plain.fits"
    packed = folder / NAME[1:]
    packed.parent.mkdir(parents=True)
    fits.PrimaryHDU(rng.normal(size=(5, 4000))).writeto(plain)
    packed.write_bytes(gzip.compress(plain.read_bytes(), mtime=0))
    return folder

"""Spectra and labels of one's own, made up."""

import gzip

import numpy as np
from astropy.io import fits


def put_spectrum(folder, where, obsid=-1, ra=10.0, dec=20.0, redshift=0.0001, snrg=50.0, zipped=False):
    """Write a small spectrum in layout L2; `where` is its path in the folder."""
    pixel = np.arange(40)
    rows = [pixel + 1.0, np.ones(40), 10 ** (3.6 + 1e-4 * pixel), np.zeros(40), np.zeros(40)]
    header = fits.Header({"OBSID": obsid, "RA": ra, "DEC": dec, "Z": redshift, "SNRG": snrg, "LMJD": 55859})
    header["EXTEN0"] = "Flux, Inverse, Wavelength, Andmask, Ormask"
    path = folder / where
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = folder.parent / "plain.fits"
    fits.PrimaryHDU(np.array(rows, "f4"), header).writeto(plain, overwrite=True)
    path.write_bytes(gzip.compress(plain.read_bytes()) if zipped else plain.read_bytes())


def put_labels(
    path, text="obsid,Teff,feh,ra,dec\n101005,4800,-0.5,10.00005,20\n101006,5000,-9999,50,20.0001\n"
):
    path.write_text(text)
    return path

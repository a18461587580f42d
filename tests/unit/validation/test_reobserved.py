"""Which stars are observed again."""

from astropy.table import Table

from labeltransfer.catalogs.splits import TEST
from labeltransfer.validation.reobserved import brightest


def test_the_brightest_test_stars_are_observed_again():
    stars = Table({"id": list("edcba"), "snr": [10.0, 90.0, 50.0, 70.0, 95.0]})
    stars["reason"] = [TEST, TEST, TEST, TEST, ""]
    assert brightest(stars, 2).tolist() == ["b", "d"]
    assert brightest(stars, 9).tolist() == ["b", "c", "d", "e"]

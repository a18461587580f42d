"""The Cannon (Ness et al. 2015; Ho et al. 2017): a polynomial model of the flux of every pixel.

Training maximises the likelihood of Eq. 5 of Ho et al. 2017 over the coefficients and the intrinsic scatter
of each pixel.  Labelling uses that the chi2 of a star is a polynomial in its labels, whose coefficients
follow from one matrix product per block of stars; no iteration touches a pixel again.
"""

from labeltransfer.models.cannon.labelling import label
from labeltransfer.models.cannon.model import STATUS, CannonModel, linear_coefficients, predict
from labeltransfer.models.cannon.stars import error_share
from labeltransfer.models.cannon.training import options_of, train, trainer

__all__ = [
    "STATUS",
    "CannonModel",
    "error_share",
    "label",
    "linear_coefficients",
    "options_of",
    "predict",
    "train",
    "trainer",
]

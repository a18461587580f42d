"""One small neural network per pixel, with a prior from ab initio gradient spectra (Ting et al. 2017).

The flux of a pixel is f(l) = sum_i w_i g(sum_k W_ik l_k + c_i) + b, with g(x) = 1 / (1 + exp(-x)) and labels
l centred and scaled (Eq. 1).  Training minimises, pixel by pixel, the loss of Eq. 2 and a penalty that keeps
1,801 weights from fitting 500 stars perfectly:

    1/N sum_n ivar_n (f(l_n) - f_n)^2  +  D_scale/N_l sum_j rho((f'_j - t_j) / u_j)  +  penalty

with t the ab initio gradients, f' those of the network at the same reference point, and the unit u_j either
max(|t_j|, floor) or one.
"""

from labeltransfer.models.network.label import label_network
from labeltransfer.models.network.model import (
    STATUS,
    NetworkModel,
    join_networks,
    predict_network,
)
from labeltransfer.models.network.options import FORMS, GradientPrior, NetworkOptions
from labeltransfer.models.network.ridge import RidgeChoice, RidgeTrial, choose_ridge
from labeltransfer.models.network.sample import even_pixels, sample_pixels, train_sample
from labeltransfer.models.network.train import train_network

__all__ = [
    "FORMS",
    "STATUS",
    "GradientPrior",
    "NetworkModel",
    "NetworkOptions",
    "RidgeChoice",
    "RidgeTrial",
    "choose_ridge",
    "even_pixels",
    "join_networks",
    "label_network",
    "predict_network",
    "sample_pixels",
    "train_network",
    "train_sample",
]

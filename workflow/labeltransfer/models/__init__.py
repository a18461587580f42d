"""Spectral models: training, label inference, one file format."""

"""What surveys publish: readers of their catalogues and spectra."""

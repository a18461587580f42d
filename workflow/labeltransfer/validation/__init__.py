"""Cross-validation, bootstrap, error calibration, and comparison with published numbers."""

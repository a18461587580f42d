"""How much is measured: quick numbers that mean nothing, those of a few minutes, and the size of the paper."""

PAPER = (9_952, 444_228)  # reference and survey spectra of Ho et al. 2017

# n_train and n_test: stars of the comparison; n_peer: those that peers label; every: the fraction of pixels
# that peers train on for their time.
SCALES = {
    "quick": {
        "n_train": 150,
        "n_paper": 160,
        "n_test": 64,
        "n_peer": 6,
        "n_files": 6,
        "growth": [90],
        "growth_prepare": [6],
        "n_chunk": 2,
        "n_full": 120,
        "n_bootstrap": 2,
        "every": 40,
        "upper": 4100.0,
        "repeats": 1,
    },
    "standard": {
        "n_train": 2000,
        "n_paper": PAPER[0],
        "n_test": 16384,
        "n_peer": 384,
        "n_files": 512,
        "growth": [1000, 3000, 10_000, 30_000, 100_000],
        "growth_prepare": [1000, 3000, 10_000],
        "n_chunk": 0,
        "n_full": 0,
        "n_bootstrap": 2,
        "every": 9,
        "upper": 9000.0,
        "repeats": 3,
    },
}
SCALES["full"] = SCALES["standard"] | {
    "growth_prepare": [1000, 3000, 10_000, 30_000, 100_000],
    "n_chunk": 22,
    "n_full": PAPER[1],
    "n_bootstrap": 20,
}

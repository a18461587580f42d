"""Common grid, rest frame, masks, Eq. 1 normalisation, and the chunked store."""

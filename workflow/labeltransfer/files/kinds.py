"""What kind of table a file is, told from its first bytes; and the true cure for kinds that are not read here."""

import re

from labeltransfer.files.errors import refusal
from labeltransfer.files.fitsfile import check_fits

_LOOKED_AT = 2**16  # bytes
_AS_CSV = "Save the sheet as CSV."
_UNPACK = "Unpack it, or pack it with gzip."
_AS_TABLE = "Write it as FITS, Parquet, ECSV or CSV."
# First bytes, what they tell, and what to do.
_NOT_READ = (
    (
        b"PK\x03\x04",
        "a sheet or a zip archive",
        "Save the sheet as CSV, or unpack the archive.",
    ),
    (b"\xd0\xcf\x11\xe0", "a sheet of Excel", _AS_CSV),
    (b"%PDF", "a PDF document", "Give the table itself, not the paper."),
    (b"BZh", "packed by bzip2", _UNPACK),
    (b"\xfd7zXZ", "packed by xz", _UNPACK),
    (b"(\xb5/\xfd", "packed by zstandard", _UNPACK),
    (b"\x1f\x9d", "packed by compress", _UNPACK),
    (b"7z\xbc\xaf", "a 7z archive", _UNPACK),
    (b"ARROW1", "a Feather file", "Write it as Parquet."),
    (b"\x93NUMPY", "an array of numpy", _AS_TABLE),
    (b"\x80\x03", "a pickle of Python", _AS_TABLE),
    (b"\x80\x04", "a pickle of Python", _AS_TABLE),
    (b"\x80\x05", "a pickle of Python", _AS_TABLE),
    (b"SQLite format 3", "a database of SQLite", _AS_TABLE),
    (b"#ASDF", "an ASDF file", _AS_TABLE),
    (b"\xff\xfe", "text in UTF-16", "Save it as text in UTF-8."),
    (b"\xfe\xff", "text in UTF-16", "Save it as text in UTF-8."),
)
_IPAC_LINE = re.compile(r"\|.*\|\s*")


def kind_of(data, path):
    """Tell the kind of a table.

    Parameters
    ----------
    data : bytes or mmap
        The file, unzipped.
    path : str or path
        For messages.

    Returns
    -------
    str
        ``fits``, ``parquet``, ``hdf5``, ``votable``; ``ascii.ecsv`` and the like, as astropy calls them; ``text`` for
        values that a mark or blanks separate.

    Raises
    ------
    ArchiveError
        'not a table', with what it is instead and what to do; 'HTML page instead of a file'.
    """
    start = bytes(data[:_LOOKED_AT])
    for magic, what, cure in _NOT_READ:
        if start.startswith(magic):
            raise refusal(path, "not a table", "FITS, Parquet, VOTable or text", what, cure)
    if start.startswith(b"PAR1"):
        return "parquet"
    if start.startswith(b"\x89HDF\r\n"):
        return "hdf5"
    if start.startswith(b"SIMPLE"):
        return "fits"
    bare = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if bare.startswith(b"<"):
        if b"<VOTABLE" in start:
            return "votable"
        if bare.startswith(b"<HEADER>"):
            return "ascii.tdat"
        check_fits(data, path)  # a page of a server is refused as one
    if bare[:1] in (b"{", b"["):
        raise refusal(path, "not a table", "FITS, Parquet, VOTable or text", "JSON", _AS_TABLE)
    text = start.decode("utf-8-sig", "replace")
    if b"\0" in start[:4096] or not text.strip():
        cure = "Give a FITS, Parquet or text table."
        raise refusal(path, "not a table", "a line of column names", repr(start[:20]), cure)
    if b"\n" not in start and start.count(b"\r") > 1:
        cure = "Save it with line ends of Unix or Windows."
        raise refusal(
            path, "not a table", "lines of text", "lines that end with a carriage return alone", cure
        )
    return _kind_of_text(text)


def _kind_of_text(text):
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    first = lines[0].lstrip()
    if first.startswith("# %ECSV"):
        return "ascii.ecsv"
    if "Byte-by-byte Description" in text:
        return "ascii.mrt" if first.startswith("Title:") else "ascii.cds"
    if "\\begin{deluxetable" in text:
        return "ascii.aastex"
    if "\\begin{tabular" in text:
        return "ascii.latex"
    if re.match(r"#\s+1\s+[A-Za-z]\w*", first):
        return "ascii.sextractor"
    if re.fullmatch(r"=+(\s+=+)+", first):
        return "ascii.rst"
    plain = [line for line in lines if not line.startswith("\\")][:2]
    if len(plain) == 2 and all(_IPAC_LINE.fullmatch(line) for line in plain):
        return "ascii.ipac"
    return "text"

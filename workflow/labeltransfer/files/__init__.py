"""What a file is: formats that are read and written, downloads, and what a file says of its making."""

"""What surveys publish: spectrum layouts, catalogues, addresses, download, and the mock archive."""

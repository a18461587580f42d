"""The papers' figures: tables in, matplotlib figures out."""

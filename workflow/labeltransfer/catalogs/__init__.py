"""Cross-match, selection with reasons, label distance, and the ledger of every star's fate."""

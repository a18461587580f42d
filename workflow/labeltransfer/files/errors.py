"""The error that every reader of survey files raises, with a reason short enough for the ledger."""

# Cures that many refusals have in common.
FETCH_AGAIN = "Fetch the file again."


class ArchiveError(ValueError):
    """A survey file that cannot be used.

    Parameters
    ----------
    message : str
        What a person needs: the file, what was expected, what was found, what to do.
    reason : str
        Short, lower-case and stable, for the ledger and for counting.
    """

    def __init__(self, message, reason="unreadable file"):
        """Keep the message and the reason."""
        # Both go to `args`, so that the error survives the way back from a worker process.
        super().__init__(message, reason)
        self.reason = reason

    def __str__(self):
        return self.args[0]


def refusal(path, reason, expected, found, cure):
    """Return an `ArchiveError` about `path` whose message has the four parts that a person needs."""
    return ArchiveError(f"{path}: {reason}: expected {expected}, found {found}. {cure}", reason)

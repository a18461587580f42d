# What jobs ask of a scheduler.


def growing(first):
    """A resource that a job gets once more of with each attempt, for schedulers that kill what takes too much.

    Jobs are attempted again where the profile says so (`retries`), never in the same allocation.
    """
    return lambda wildcards, attempt: first * attempt

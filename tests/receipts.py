"""What became of a publish."""

PATIENCE = 10


def error_of(receipt):
    """Why it was not stored, once that is known; ``None``: it was."""
    receipt.wait(PATIENCE)
    return receipt.error

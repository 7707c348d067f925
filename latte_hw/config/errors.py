"""The error that a user can cause and fix."""


class LatteError(ValueError):
    """Bad input, said in one clear sentence that names the value and what would be right.

    The command line prints the sentence on standard error and exits with code 2; nothing has been written then.
    """


class MismatchError(Exception):
    """Two results that must be equal are not; the message is the first difference. Exit code 1."""

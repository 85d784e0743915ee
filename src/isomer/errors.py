"""The one exception a user's bad input raises."""


class InputError(ValueError):
    """Bad input, said in one line: the file or option, what is wrong with it, and what to do.

    The command line prints the message alone and exits with code 2.
    """

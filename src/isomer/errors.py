"""The one exception a user's bad input raises, and how it quotes others."""


class InputError(ValueError):
    """Bad input, said in one line: the file or option, what is wrong with it, and what to do.

    The command line prints the message alone and exits with code 2.
    """


def brief(said: object) -> str:
    """What came from elsewhere, such as another exception, as part of such a line."""
    text = " ".join(str(said).split())
    return text if len(text) <= 200 else f"{text[:200]}..."

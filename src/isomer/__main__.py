"""`python -m isomer` is the command `isomer`."""

from isomer.cli.main import console

if __name__ == "__main__":
    console()

"""The `isomer` command."""

"""What `isomer.options.documented` and the defaults of options are at run time, for pages that are made from source."""

from __future__ import annotations

from importlib import import_module
from inspect import getdoc
from typing import Any

from griffe import Class, Extension, Function

from isomer import options


class DocumentedOptions(Extension):
    """Puts the options into docstrings, and their values into signatures."""

    def on_class(self, *, cls: Class, **_: Any) -> None:
        """See `_describe`."""
        _describe(cls)

    def on_function(self, *, func: Function, **_: Any) -> None:
        """See `_describe`; write defaults out."""
        _describe(func)
        for parameter in func.parameters:
            group, _, name = str(parameter.default).partition(".")
            if group in ("Options", "VideoOptions"):
                parameter.default = repr(getattr(getattr(options, group), name))


def _describe(documented: Class | Function) -> None:
    """Replace a docstring by that of the object itself, where it stands for options."""
    if documented.docstring and "options: see" in documented.docstring.value:
        module, _, name = documented.path.rpartition(".")
        documented.docstring.value = getdoc(getattr(import_module(module), name)) or ""

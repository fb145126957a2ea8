"""The window: Qt, and the only place that imports it."""

from __future__ import annotations

import contextlib

import PySide6.QtCore  # noqa: F401  (brings shibokensupport)

# WORKAROUND https://github.com/pyzo/pyzo/pull/851 (no upstream report): PySide6 reads the source of every module that is
# imported after it, for `from __feature__ import ...`, which nothing here uses; Python keeps the text, 18 MB.
with contextlib.suppress(ImportError):
    from shibokensupport import feature  # type: ignore[import-not-found]

    feature._mod_uses_pyside = lambda _module: False

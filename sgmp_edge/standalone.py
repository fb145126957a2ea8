"""Lets a copied folder, whatever it is called, be the package `sgmp_edge`.

A program in it starts with `importlib.import_module("standalone").make_package()`.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path


def make_package() -> None:
    """Register this folder as `sgmp_edge`, unless that is installed and running already.

    `common` becomes another name of `sgmp_edge.common`, so that a class written after the playbook (`from common
    import Event, ReadResult, Reading`) and the daemon mean the same classes.
    """
    if "sgmp_edge" not in sys.modules:
        folder = Path(__file__).resolve().parent
        spec = importlib.util.spec_from_file_location(
            "sgmp_edge", folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        if spec is None or spec.loader is None:
            raise ImportError(f"{folder} lacks __init__.py; copy the whole folder")
        package = importlib.util.module_from_spec(spec)
        sys.modules["sgmp_edge"] = package
        spec.loader.exec_module(package)
    sys.modules["common"] = importlib.import_module("sgmp_edge.common")

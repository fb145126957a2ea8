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
    import Event, ReadResult, Reading`) and the daemon mean the same classes. A file beside Main_Publisher.py can be
    imported by its name (`from my_device import MyDevice`) where the edge is installed, too; it comes last, so that it
    takes nobody's place.
    """
    if "sgmp_edge" not in sys.modules:
        package_folder = Path(__file__).resolve().parent
        spec = importlib.util.spec_from_file_location(
            "sgmp_edge", package_folder / "__init__.py", submodule_search_locations=[str(package_folder)]
        )
        if spec is None or spec.loader is None:
            raise ImportError(f"__init__.py is missing in {package_folder}; copy the whole folder")
        package = importlib.util.module_from_spec(spec)
        sys.modules["sgmp_edge"] = package
        spec.loader.exec_module(package)
    folder = str(Path(__file__).resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    sys.modules["common"] = importlib.import_module("sgmp_edge.common")

"""The architecture, as tests over the real names: docs/architecture.md says the same in prose."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CONSOLE = sorted((ROOT / "sgmp_console").rglob("*.py"))
EDGE = sorted((ROOT / "sgmp_edge").rglob("*.py"))

THREAD_MAKERS = {
    "Thread",
    "Timer",
    "ThreadPoolExecutor",
    "ProcessPoolExecutor",
    "QThread",
    "QThreadPool",
    "QRunnable",
}
"""Names whose use starts a thread (threading.Timer; Qt's QTimer is none)."""

TEXT_EVALUATORS = {"eval", "sympify", "parse_expr"}


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _imported_packages(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def _called_names(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Name):
                yield node.lineno, function.id
            elif isinstance(function, ast.Attribute):
                yield node.lineno, function.attr


def _defined_bases(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ClassDef):
            for base in node.bases:
                yield node.lineno, base.id if isinstance(base, ast.Name) else getattr(base, "attr", "")


def test_imports_keep_the_layers() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("path", CONSOLE, ids=_name)
def test_only_the_window_imports_qt(path: Path) -> None:
    if (ROOT / "sgmp_console" / "ui") in path.parents:
        return
    assert not {"PySide6", "pyqtgraph", "shiboken6"} & set(_imported_packages(path)), (
        "Qt belongs into sgmp_console/ui; move what needs it there"
    )


@pytest.mark.parametrize("path", CONSOLE, ids=_name)
def test_one_module_of_the_console_owns_threads(path: Path) -> None:
    # The simulator is a program of its own, a server of devices, that only runs in the demo and in tests.
    if path == ROOT / "sgmp_console" / "ui" / "tasks.py" or "simulator" in path.parts:
        return
    found = [
        (line, name) for line, name in (*_called_names(path), *_defined_bases(path)) if name in THREAD_MAKERS
    ]
    assert not found, "run it through sgmp_console/ui/tasks.py instead"


@pytest.mark.parametrize("path", [*CONSOLE, *EDGE], ids=_name)
def test_no_text_is_evaluated(path: Path) -> None:
    called = {name for _, name in _called_names(path) if name in TEXT_EVALUATORS}
    assert not called, "formula text goes through our own grammar, nothing else reads expressions"


@pytest.mark.parametrize("path", [*CONSOLE, *EDGE], ids=_name)
def test_nothing_is_executed_but_the_event_loop(path: Path) -> None:
    # QDialog.exec blocks tests and the live view alike; `open()` and `finished` do not. The edge's settings are a
    # Python file, by the playbook.
    if _name(path) in ("sgmp_console/ui/window/application.py", "sgmp_edge/settings.py"):
        return
    assert "exec" not in {name for _, name in _called_names(path)}, (
        "open() a dialog and connect to `finished`"
    )


@pytest.mark.parametrize("path", [*CONSOLE, *EDGE], ids=_name)
def test_no_exception_dies_silently(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ExceptHandler):
            broad = node.type is None or (
                isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException")
            )
            silent = all(isinstance(statement, (ast.Pass, ast.Continue)) for statement in node.body)
            assert not (broad and silent), f"line {node.lineno}: name the exception, or log it"


def test_heavy_libraries_are_loaded_only_when_used() -> None:
    code = (
        "import sys, sgmp_console.app;"
        "heavy = {'sympy', 'boto3', 'botocore', 'awscrt', 'pandas', 'alembic'} & set(sys.modules);"
        "sys.exit(f'loaded at start: {sorted(heavy)}' if heavy else 0)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_the_migrations_folder_does_not_shadow_the_library() -> None:
    assert not (ROOT / "alembic" / "__init__.py").exists()


def test_there_is_no_module_for_leftovers() -> None:
    leftovers = {"utils.py", "util.py", "helpers.py", "misc.py", "common.py"}
    # common.py of the edge is named by the playbook.
    found = [
        _name(path)
        for path in (*CONSOLE, *EDGE)
        if path.name in leftovers and _name(path) != "sgmp_edge/common.py"
    ]
    assert not found, "name a module after what it knows"


def test_the_lock_names_no_index_and_hashes_everything() -> None:
    lines = (ROOT / "requirements.lock").read_text("utf-8").splitlines()
    assert not [line for line in lines if "://" in line or "--index" in line or "--find-links" in line]
    pinned = [number for number, line in enumerate(lines) if line and line[0].isalnum()]
    assert pinned
    assert all("--hash=sha256:" in lines[number + 1] for number in pinned)

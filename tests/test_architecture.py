"""The architecture, as tests over the real names: docs/architecture.md says the same in prose.

Each rule is one test over all files; its message names the places that break it and the remedy.
"""

from __future__ import annotations

import ast
import gc
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CONSOLE = sorted((ROOT / "sgmp_console").rglob("*.py"))
EDGE = sorted((ROOT / "sgmp_edge").rglob("*.py"))
PRODUCT = [*CONSOLE, *EDGE]

THREAD_MAKERS = {
    "Thread",
    "Timer",
    "ThreadPoolExecutor",
    "ProcessPoolExecutor",
    "QThread",
    "QThreadPool",
    "QRunnable",
}
"""Names whose use starts a thread (threading.Timer; Qt's QTimer starts none)."""

TEXT_EVALUATORS = {"eval", "sympify", "parse_expr"}


@pytest.fixture(scope="module", autouse=True)
def _without_collecting() -> Iterator[None]:
    """The millions of nodes go after these tests: the garbage collector need not go through them meanwhile."""
    gc.disable()
    yield
    _nodes.cache_clear()
    gc.enable()


@cache
def _nodes(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(path.read_text("utf-8"))))


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _imported_packages(path: Path) -> Iterator[tuple[int, str]]:
    for node in _nodes(path):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.split(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module.split(".")[0]


def _called_names(path: Path) -> Iterator[tuple[int, str]]:
    for node in _nodes(path):
        if isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Name):
                yield node.lineno, function.id
            elif isinstance(function, ast.Attribute):
                yield node.lineno, function.attr


def _attributes_of(path: Path, *names: str) -> Iterator[tuple[int, str]]:
    for node in _nodes(path):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in names:
            yield node.lineno, node.attr


def _base_names(path: Path) -> Iterator[tuple[int, str]]:
    for node in _nodes(path):
        if isinstance(node, ast.ClassDef):
            for base in node.bases:
                yield node.lineno, base.id if isinstance(base, ast.Name) else getattr(base, "attr", "")


def _silent_handlers(path: Path) -> Iterator[int]:
    for node in _nodes(path):
        if isinstance(node, ast.ExceptHandler):
            broad = node.type is None or (
                isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException")
            )
            if broad and all(isinstance(statement, (ast.Pass, ast.Continue)) for statement in node.body):
                yield node.lineno


def _refuse(places: Sequence[str], remedy: str) -> None:
    assert not places, f"{remedy}:\n  " + "\n  ".join(places)


def test_imports_keep_the_layers() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_each_module_of_the_store_is_public_or_internal() -> None:
    from sgmp_console import store

    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    internal = {
        name.rpartition(".")[2]
        for contract in contracts
        if contract["name"] == "Others use of the store what it names"
        for name in contract["forbidden_modules"]
    }
    modules = {path.stem for path in (ROOT / "sgmp_console" / "store").glob("*.py")} - {"__init__"}
    assert modules - internal == modules & set(store.__all__), (
        "name the module in store.__all__, or forbid it to others in pyproject.toml"
    )


def test_only_the_store_runs_sql() -> None:
    sql = {
        "text",
        "func",
        "select",
        "insert",
        "update",
        "delete",
        "execute",
        "exec_driver_sql",
        "copy_expert",
    }
    _refuse(
        [
            f"{_name(path)}:{line} {name}"
            for path in CONSOLE
            if ROOT / "sgmp_console" / "store" not in path.parents
            # It makes its own server, before there is a database of ours.
            and _name(path) != "sgmp_console/demo/postgres.py"
            and {"sqlalchemy", "psycopg2"} & {package for _, package in _imported_packages(path)}
            for line, name in _attributes_of(path, "sa", "connection", "cursor")
            if name in sql
        ],
        "Write a function in sgmp_console/store and call that",
    )


def test_only_the_window_imports_qt() -> None:
    _refuse(
        [
            f"{_name(path)}:{line}"
            for path in CONSOLE
            if ROOT / "sgmp_console" / "ui" not in path.parents
            for line, package in _imported_packages(path)
            if package in {"PySide6", "pyqtgraph", "shiboken6"}
        ],
        "Qt belongs into sgmp_console/ui; move what needs it there",
    )


def test_one_module_of_the_console_owns_threads() -> None:
    # The simulator is a program of its own, a server of devices, that runs only in the demo and in tests. Ingest is a
    # service without a window; its connection has a thread so that receipts never wait for the database. The watch sends
    # messages on a thread, so that a slow mail server does not keep findings from opening.
    _refuse(
        [
            f"{_name(path)}:{line} {name}"
            for path in CONSOLE
            if _name(path)
            not in (
                "sgmp_console/ui/tasks.py",
                "sgmp_console/ingest/subscriber.py",
                "sgmp_console/watch/service.py",
            )
            and "simulator" not in path.parts
            for line, name in (*_called_names(path), *_base_names(path))
            if name in THREAD_MAKERS
        ],
        "Run it through sgmp_console/ui/tasks.py instead",
    )


def test_no_text_is_evaluated() -> None:
    _refuse(
        [
            f"{_name(path)}:{line} {name}"
            for path in PRODUCT
            for line, name in _called_names(path)
            if name in TEXT_EVALUATORS
        ],
        "Formula text goes through our own grammar; nothing else reads expressions",
    )


def test_nothing_is_executed_but_the_event_loop() -> None:
    # QDialog.exec blocks tests and the live view alike; `open()` and `finished` do not. The edge's settings are a
    # Python file, by the playbook.
    allowed = {"sgmp_console/ui/window/application.py", "sgmp_edge/settings.py"}
    _refuse(
        [
            f"{_name(path)}:{line}"
            for path in PRODUCT
            if _name(path) not in allowed
            for line, name in _called_names(path)
            if name == "exec"
        ],
        "open() a dialog and connect to `finished`",
    )


def test_no_exception_dies_silently() -> None:
    _refuse(
        [f"{_name(path)}:{line}" for path in PRODUCT for line in _silent_handlers(path)],
        "Name the exception, or log it",
    )


RICH_TEXT = {
    *(
        "QMessageBox",
        "QErrorMessage",
        "QInputDialog",
        "QProgressDialog",
        "QWizard",
        "QSplashScreen",
    ),
    *("QTextEdit", "QTextBrowser", "QStaticText", "QWhatsThis", "setWhatsThis", "setStatusTip"),
    *("setHtml", "insertHtml", "appendHtml", "TextItem", "LabelItem", "setTitle", "setLabel"),
}
"""What takes text for HTML where it looks like it; the last two are pyqtgraph's."""

WIDGETS_OF_PARTS = {"QLabel", "QPushButton", "QCheckBox", "QRadioButton", "QGroupBox"}
"""Their text is HTML or has mnemonics; `ui/parts` has those that show it as it is."""

TAKES_PLAIN_TEXT = {
    "setToolTip": "set_tip(widget, text)",
    "showText": "tip(text)",
    "showMessage": "notification(text)",
    "setWindowTitle": "title(text)",
    "addAction": "mnemonic_free(text)",
    "addMenu": "mnemonic_free(text)",
    "QAction": "mnemonic_free(text)",
}
"""Calls whose text is a constant, or made by `ui/plain_text`."""


def _is_plain(argument: ast.expr) -> bool:
    match argument:
        case ast.Constant():
            return True
        case ast.Call(func=ast.Attribute(value=ast.Name(id="plain_text"))):
            return True
        case ast.Name(id="action"):
            return True  # a QAction, which was made of plain text
    return False


def _rich_texts(path: Path) -> Iterator[tuple[int, str]]:
    """Lines at which text could be taken for more than text, and the remedy."""
    for line, name in _called_names(path):
        if name in RICH_TEXT:
            yield line, f"{name} is never used"
    if "parts" not in path.parts:
        for line, name in (*_called_names(path), *_base_names(path)):
            if name in WIDGETS_OF_PARTS:
                yield line, f"use what ui/parts has instead of {name}"
    for node in _nodes(path):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            text = node.args[1:2] if name in ("showText", "showMessage") else node.args[:1]
            if name in TAKES_PLAIN_TEXT and not all(map(_is_plain, text)):
                yield node.lineno, f"plain_text.{TAKES_PLAIN_TEXT[name]} for {name}"
        elif isinstance(node, ast.If) and "ToolTipRole" in ast.unparse(node.test):
            returned = [part.value for part in node.body if isinstance(part, ast.Return)]
            if not returned or not all(value is not None and _is_plain(value) for value in returned):
                yield node.lineno, "return plain_text.tip(text)"


def test_text_of_others_is_never_rich() -> None:
    _refuse(
        [
            f"{_name(path)}:{line} {remedy}"
            for path in CONSOLE
            if ROOT / "sgmp_console" / "ui" in path.parents and path.name != "plain_text.py"
            for line, remedy in _rich_texts(path)
        ],
        "Text of an edge, a file or another account could be taken for HTML or a mnemonic",
    )


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
    _refuse(
        [_name(path) for path in PRODUCT if path.name in leftovers and _name(path) != "sgmp_edge/common.py"],
        "Name a module after what it knows",
    )


PRIVATE_ATTRIBUTES_IN_TESTS = 40
"""At most. The fewer a test uses, the fewer changes of the product break it; lower this where it is possible."""


def test_few_tests_use_private_attributes() -> None:
    used = [
        f"{_name(path)}:{node.lineno} {ast.unparse(node)}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for node in _nodes(path)
        if isinstance(node, ast.Attribute)
        and re.match(r"_[a-z]", node.attr)
        and node.attr != "_replace"  # of a named tuple, where it is public
        and not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))
    ]
    assert len(used) <= PRIVATE_ATTRIBUTES_IN_TESTS, (
        "Use what the class offers, or find the part by its kind and name (tests/ui/finding.py):\n  "
        + "\n  ".join(used)
    )


def test_tests_of_the_window_wait_for_what_they_need() -> None:
    _refuse(
        [
            f"{_name(path)}:{node.lineno}"
            for path in sorted((ROOT / "tests").rglob("*.py"))
            for node in _nodes(path)
            if isinstance(node, ast.Attribute)
            and node.attr == "wait"
            and ast.unparse(node.value).endswith("qtbot")
        ],
        "Wait for the condition: qtbot.waitUntil, or let_draw of tests/ui/conftest.py for a chart",
    )


PLAIN_WORDS = {
    "told": "reported, shown, distinguished or known",
    "tells": "reports, shows or distinguishes",
    "mend": "repair or remedy",
    "mends": "repairs",
    "mended": "repaired",
    "whoever": "who, or the thing's name",
    "anew": "again",
    "lacks": "does not have, or is missing",
    "lacking": "missing",
}
"""Words that this project's prose fell into, and what the field says. See docs/design_language.md for its terms."""


def test_prose_is_in_the_words_of_the_field() -> None:
    word = re.compile(rf"(?<![\"'])\b({'|'.join(PLAIN_WORDS)})\b", re.IGNORECASE)
    texts = [
        *PRODUCT,
        *(ROOT / "sgmp_console" / "store" / "sql").glob("*.sql"),
        *(ROOT / "alembic").rglob("*.py"),
        *(ROOT / "docs").glob("*.md"),
        *ROOT.glob("[CRS]*.md"),
    ]
    _refuse(
        [
            f"{_name(path)}:{number} {found[1]!r}: say {PLAIN_WORDS[found[1].lower()]}"
            for path in texts
            for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
            if (found := word.search(line)) and "`mend`" not in line
        ],
        "Plain words",
    )


def test_a_workaround_links_to_the_report_it_waits_for() -> None:
    marked = re.compile(r"WORKAROUND(?!:? .*(https://|no upstream report))")
    _refuse(
        [
            f"{_name(path)}:{number}"
            for path in PRODUCT
            for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
            if marked.search(line)
        ],
        "Write `WORKAROUND <link>: why`, or `WORKAROUND (no upstream report): why`",
    )


@pytest.mark.parametrize("lock", sorted(ROOT.glob("*.lock")), ids=lambda path: path.name)
def test_a_lock_names_no_index_and_hashes_everything(lock: Path) -> None:
    lines = lock.read_text("utf-8").splitlines()
    assert not [line for line in lines if "://" in line or "--index" in line or "--find-links" in line]
    pinned = [number for number, line in enumerate(lines) if line and line[0].isalnum()]
    assert pinned
    assert all("--hash=sha256:" in lines[number + 1] for number in pinned)


def test_migrations_are_one_chain() -> None:
    files = sorted((ROOT / "alembic" / "versions").glob("[0-9]*.py"))
    revisions = []
    for path in files:
        assigned = {
            node.targets[0].id: node.value.value
            for node in _nodes(path)
            if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and isinstance(node.value, ast.Constant)
        }
        revisions.append((assigned["down_revision"], assigned["revision"], path.name[:4]))
    numbers = [f"{number:04}" for number in range(1, len(files) + 1)]
    expected = [(before, number, number) for before, number in zip([None, *numbers], numbers, strict=False)]
    assert revisions == expected, (
        "Give your revision the next number, and the one before it as `down_revision`"
    )

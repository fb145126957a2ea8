"""What `./run deployment-test` runs on a clean root stands in the documents."""

from __future__ import annotations

import re
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


def test_each_command_of_the_clean_root_stands_in_the_documents() -> None:
    documents = "".join(
        (_ROOT / name).read_text("utf-8") for name in ("docs/deployment.md", "sgmp_edge/README.md")
    )
    script = (_ROOT / "tests" / "deployment" / "inside.sh").read_text("utf-8")
    (init,) = re.findall(r"^init='(.*)'$", script, re.MULTILINE)
    commands = [
        single or double for single, double in re.findall(r"""\bdoc (?:'([^']+)'|"([^"$]+)")""", script)
    ]
    assert len(commands) > 20
    for command in (init, *commands):
        assert command.replace("sudo -E ", "sudo ").replace("pip install -q", "pip install") in documents, (
            command
        )

"""A device type of one's own, written as the playbook shows, in each way in which the edge can be installed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sgmp_edge import contract
from tests.edge.edge_process import SOURCE
from tests.edge.test_playbook import PLAYBOOK_CLASS

LAUNCH = "import sys; from sgmp_edge.Main_Publisher import main; sys.exit(main())"


@pytest.mark.parametrize("installed", [True, False], ids=["installed by pip", "copied folder"])
@pytest.mark.parametrize("folder", ["sgmp_edge", "edge of the lab"])
def test_a_class_beside_the_program_is_imported_by_its_name(
    tmp_path: Path, installed: bool, folder: str
) -> None:
    code = tmp_path / "site" / ("sgmp_edge" if installed else folder)
    shutil.copytree(SOURCE, code, ignore=shutil.ignore_patterns("__pycache__", "config.py"))
    (code / "my_device.py").write_text(PLAYBOOK_CLASS)
    program = (code / "Main_Publisher.py").read_text()
    program = program.replace('    # "my_device": MyDevice,', '    "my_device": MyDevice,')
    program = program.replace(
        "#     from my_device import MyDevice\n", "from my_device import MyDevice  # noqa: E402\n"
    )
    (code / "Main_Publisher.py").write_text(program)
    home = tmp_path / "home"
    home.mkdir()
    (home / "config.py").write_text("house_id = 1\n")
    device = contract.DeviceConfig(1, "mine", "my_device", {"single": True})
    (home / "devices.json").write_bytes(contract.dump_config(1, [device]))

    command = ["-c", LAUNCH] if installed else [str(code / "Main_Publisher.py")]
    done = subprocess.run(
        [sys.executable, "-W", "error", *command, "--home", str(home), "--dry-run", "--once"],
        capture_output=True,
        text=True,
        cwd=tmp_path / "site" if installed else "/",
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout.count("field_a")) == (0, 1), done.stderr
    line = json.loads(done.stdout.splitlines()[-1])
    assert (line["device"], line["payload"]) == ("mine", {"field_a": 1, "field_b": 2})


def test_help_loads_nothing_that_it_does_not_need() -> None:
    script = (
        "import sys; sys.argv = ['sgmp-edge', '--help']\n"
        "from sgmp_edge.Main_Publisher import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('ctypes', 'awscrt', 'sqlite3', 'ssl', 'sgmp_edge.memory') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=SOURCE.parent,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"

"""Connection profiles, edited from the sign-in page and tested step by step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtWidgets import QFileDialog, QLineEdit, QToolButton, QWidget

from sgmp_console import settings
from sgmp_console.ui.theme import Appearance
from tests.e2e.test_sign_in import locally
from tests.e2e.window import Window
from tests.e2e.world import World
from tests.mosquitto import free_port
from tests.ui.conftest import save_picture


def text_of(window: Window, name: str) -> str:
    entry = window.field(name)
    assert isinstance(entry, QLineEdit)
    return entry.text()


def test_a_connection_is_tested_step_by_step(world: World, appearance: Appearance) -> None:
    window = world.console()
    window.type_into("Email", world.admin.email)
    window.type_into("Password", world.admin.password)
    window.press("Connections")
    form = window.dialog("Connections")
    save_picture(form, "connections")
    window.press("Test connection", form)
    test = window.dialog("Test of")
    window.wait(
        lambda: "Looking" not in window.words(test) and "Mail" in window.words(test), "the end of the test"
    )
    words = window.words(test)
    for step in ("Name of", "Port", "TLS of", "Database", "Deployment", "Broker", "Broker rights"):
        assert step in words
    assert "up to date (migration " in words
    if world.kind == "aws":
        assert "AWS credentials" in words
        assert "User pool" in words
    else:
        assert "Everything that was looked at is as needed." in words
    save_picture(test, f"connection_test_{world.kind}")
    appearance.choose("dark")
    save_picture(test, f"connection_test_{world.kind}")
    save_picture(form, "connections")
    window.press("Close", test)


@locally
def test_the_step_that_fails_is_named_with_what_to_do(world: World) -> None:
    closed = f"postgresql://127.0.0.1:{free_port()}/sgmp"
    window = world.console(replace(world.profile, database_url=closed))
    window.press("Connections")
    window.press("Test connection")
    test = window.dialog("Test of")
    window.wait_for("1 of the steps failed", test)
    words = window.words(test)
    assert "does not answer" in words
    assert "Check that the database runs, its port, and that no firewall is between." in words
    assert "Not looked at: it is not reached." in words
    save_picture(test, "connection_test_failed")


@locally
def test_a_test_that_takes_too_long_is_cancelled(world: World) -> None:
    window = world.console(replace(world.profile, database_url="postgresql://192.0.2.1/sgmp"))
    window.press("Connections")
    window.press("Test connection")
    test = window.dialog("Test of")
    save_picture(test, "connection_test_busy")
    window.press("Cancel", test)
    window.wait_closed(test)


@locally
def test_connections_are_added_duplicated_deleted_and_kept(world: World) -> None:
    window = world.console()
    window.press("Connections")
    form = window.dialog("Connections")
    window.press("Duplicate", form)
    assert text_of(window, "Name") == "Pilot 2"
    window.press("Add", form)
    window.type_into("Name", "Elsewhere", form)
    window.type_into("Database address", "postgresql://first.example.org,second.example.org/sgmp", form)
    window.press("Save", form)
    window.wait_closed(form)
    assert [one.name for one in settings.load_profiles(window.folder)] == ["Pilot", "Pilot 2", "Elsewhere"]
    assert window.console.sign_in.profile.currentText() == "Elsewhere"
    window.press("Connections")
    form = window.dialog("Connections")
    window.press("Delete", form)
    window.press("Delete Elsewhere", window.dialog("Delete the connection"))
    window.press("Save", form)
    window.wait_closed(form)
    assert [one.name for one in settings.load_profiles(window.folder)] == ["Pilot", "Pilot 2"]
    window.sign_in(world.admin)


@locally
@pytest.mark.parametrize(
    ("group", "field", "text", "message"),
    [
        ("", "Name", "", "A connection needs a name."),
        ("", "Database address", "db.example.org", "looks like postgresql://"),
        ("", "Database address", "postgresql://ann:secret@db/sgmp", "holds a user or password"),
        (
            "",
            "Database address",
            "postgresql://db.example.org/sgmp?sslmode=disable",
            "verified certificate only",
        ),
        ("", "Deployment", "my deployment", "starts with a letter"),
        ("AWS", "Region", "Frankfurt", "not an AWS region"),
        ("Broker", "CA certificate of the broker", "/nowhere.pem", "This file does not exist."),
        ("Broker", "Client key", "", "Certificate and key go together."),
        ("Mail", "Sender", "", "Mail needs the address of its sender."),
    ],
)
def test_what_is_wrong_is_said_at_the_field(
    world: World, group: str, field: str, text: str, message: str
) -> None:
    window = world.console()
    window.press("Connections")
    form = window.dialog("Connections")
    folded = [
        button for button in form.findChildren(QToolButton) if button.accessibleName() == f"Show {group}"
    ]
    if folded:
        window.press(f"Show {group}", form)
    window.type_into(field, text, form)
    window.press("Save", form)
    window.wait_for(message, form)
    assert form.isVisible()
    assert window.field(field, form).property("wrong")
    save_picture(form, f"connections_wrong_{field.split()[0].lower()}")
    assert not settings.load_profiles(window.folder)


def choose(form: QWidget, file: Path) -> None:
    """What a person does in the dialog for files."""
    (chooser,) = form.findChildren(QFileDialog)
    chooser.fileSelected.emit(str(file))
    chooser.close()


@locally
def test_connections_are_imported_from_a_file_and_stored_with_save(world: World, tmp_path: Path) -> None:
    settings.save_profiles(tmp_path, [replace(world.profile, name="From a colleague"), world.profile])
    window = world.console()
    window.press("Connections")
    form = window.dialog("Connections")
    window.press("Import", form)
    choose(form, settings.profiles_file(tmp_path))
    window.wait_for("2 connections added. Nothing is stored before you save.", form)
    window.press("Save", form)
    window.wait_closed(form)
    names = [profile.name for profile in settings.load_profiles(window.folder)]
    assert names == ["Pilot", "From a colleague", "Pilot 2"]


@locally
def test_a_file_that_holds_no_connections_says_so(world: World, tmp_path: Path) -> None:
    file = tmp_path / "other.toml"
    file.write_text("[[profile]]\nname = 7\n", "utf-8")
    window = world.console()
    window.press("Connections")
    form = window.dialog("Connections")
    window.press("Import", form)
    choose(form, file)
    window.wait_for("other.toml", form)
    assert form.isVisible()


@locally
def test_unsaved_changes_are_asked_about(world: World) -> None:
    window = world.console()
    window.press("Connections")
    form = window.dialog("Connections")
    window.type_into("Name", "Renamed", form)
    window.press("Cancel", form)
    question = window.dialog("Discard")
    save_picture(question, "connections_discard")
    window.press("Keep editing", question)
    assert text_of(window, "Name") == "Renamed"
    window.press("Cancel", form)
    window.press("Discard changes", window.dialog("Discard"))
    window.wait_closed(form)

"""Signing in with a real window, locally and on AWS."""

from __future__ import annotations

from tests.e2e.world import World


def test_an_administrator_signs_in_and_sees_the_main_view(world: World) -> None:
    window = world.console()
    view = window.sign_in(world.admin)
    assert view.session.account.email == world.admin.email
    window.wait_for("There are no houses yet")
    window.sign_out()
    assert window.console.session() is None

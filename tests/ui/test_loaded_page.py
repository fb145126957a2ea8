"""What every page has whose content is read, tested once on the shared class: what stands there, and the focus."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from PySide6.QtCore import QRectF, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from sgmp_console.errors import UserError
from sgmp_console.store import DatabaseUnavailable
from sgmp_console.ui.parts.empty_state import EmptyState, Skeleton
from sgmp_console.ui.parts.loaded_page import LoadedPage
from sgmp_console.ui.parts.scroll_area import ScrollArea
from sgmp_console.ui.window.frame.main_view import MainView
from tests.ui.finding import press_in_notice, visible


class Sample(LoadedPage):
    """Counts how often it is asked to read."""

    def __init__(self, view: MainView) -> None:
        super().__init__(view.services, "The sample", loading="Loading the sample")
        tall = QWidget()
        tall.setMinimumHeight(3_000)
        self.area = ScrollArea(tall)
        self.set_content(self.area)
        self.reads = 0
        self.loaded = False
        self.pressed: list[str] = []

    def shapes(self) -> Sequence[QRectF]:
        return [QRectF(self.rect())]

    def is_loaded(self) -> bool:
        return self.loaded

    def reload(self) -> None:
        self.reads += 1

    def acted(self, id_: str) -> None:
        self.pressed.append(id_)


@pytest.fixture
def page(view: MainView, shown: Callable[..., QWidget]) -> Sample:
    sample = Sample(view)
    shown(sample, 600, 400)
    sample.show_loading()
    return sample


def notice(id_: str, headline: str = "Nothing yet") -> EmptyState:
    return EmptyState("wave", headline, "Why that is so", ((id_, "Do it"),))


def test_a_page_that_scrolls_does_so_by_its_keys_as_soon_as_it_is_shown(page: Sample) -> None:
    page.activateWindow()
    page.take_focus()
    page.show_content()
    assert QApplication.focusWidget() is page.area
    QTest.keyClick(page.area, Qt.Key.Key_PageDown)
    assert page.area.verticalScrollBar().value() > 0


def test_a_notice_in_place_of_another_keeps_the_focus_on_its_first_button(page: Sample) -> None:
    page.show_notice(notice("before"))
    page.activateWindow()
    page.take_focus()
    after = notice("after", "Nothing still")
    page.show_notice(after)
    assert QApplication.focusWidget() is after.buttons()["after"]


def test_a_notice_that_says_the_same_leaves_the_one_that_stands_there(page: Sample) -> None:
    first = notice("act")
    page.show_notice(first)
    first.buttons()["act"].setEnabled(False)
    page.show_notice(notice("act"))
    assert page.notice() is first


def test_after_loading_again_a_notice_is_a_new_one(page: Sample) -> None:
    first = notice("act")
    page.show_notice(first)
    first.buttons()["act"].setEnabled(False)
    page.show_loading()
    page.show_notice(notice("act"))
    (stands,) = visible(page, EmptyState)
    assert stands.buttons()["act"].isEnabled()


def test_a_failure_says_what_was_not_read_and_why_and_reads_again(page: Sample) -> None:
    page.not_loaded(UserError("There is no such house."))
    stands = page.notice()
    assert stands is not None
    assert stands.says[1:3] == ("The sample could not be loaded", "There is no such house.")
    press_in_notice(page, "retry")
    assert page.reads == 1


def test_a_mistake_of_ours_has_its_details(page: Sample) -> None:
    page.not_loaded(ZeroDivisionError("in a sample"))
    stands = page.notice()
    assert stands is not None
    assert "ZeroDivisionError: in a sample" in stands.says[4]


@pytest.mark.parametrize("loaded", [False, True])
def test_what_is_on_screen_stays_while_the_database_is_away(
    page: Sample, view: MainView, loaded: bool
) -> None:
    page.loaded = loaded
    page.show_content()
    page.not_loaded(DatabaseUnavailable("It does not answer."))
    assert not view.connection.online
    assert page.is_content_shown() is loaded
    assert (page.notice() is None) is loaded


def test_retry_asks_the_connection_while_the_database_is_away(page: Sample, view: MainView) -> None:
    page.not_loaded(DatabaseUnavailable("It does not answer."))
    press_in_notice(page, "retry")
    assert view.connection.trying
    assert page.reads == 0


def test_other_buttons_of_a_notice_are_for_the_page(page: Sample) -> None:
    page.show_notice(notice("create"))
    press_in_notice(page, "create")
    assert page.pressed == ["create"]


def test_a_skeleton_stands_there_until_something_is_known(page: Sample) -> None:
    assert visible(page, Skeleton)
    page.show_content()
    assert not visible(page, Skeleton)

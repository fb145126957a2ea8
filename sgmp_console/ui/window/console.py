"""The window: preparation, sign-in, main view, one after the other."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, QTimer, Signal
from PySide6.QtGui import QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import QMainWindow, QStackedWidget, QWidget

from sgmp_console import keychain, settings
from sgmp_console.errors import SgmpError, UserError
from sgmp_console.keychain import Keychain
from sgmp_console.settings import Profile, SettingsError, WindowSettings
from sgmp_console.ui.dialogs.mail_password import MailPasswordPrompt
from sgmp_console.ui.explain import explain
from sgmp_console.ui.on_screen import has_frame, keep_on_screen
from sgmp_console.ui.parts.context_menu import MenuKeys
from sgmp_console.ui.session import Session
from sgmp_console.ui.tasks import Task, Tasks
from sgmp_console.ui.theme import Appearance
from sgmp_console.ui.window.entry.connection_check import ConnectionTestDialog
from sgmp_console.ui.window.entry.connections import ConnectionsDialog
from sgmp_console.ui.window.entry.passwords import ChoosePasswordPage, PasswordChange
from sgmp_console.ui.window.entry.preparation import PreparationPage, PreparationProcess, Prepared
from sgmp_console.ui.window.entry.remembered import RememberedPasswords
from sgmp_console.ui.window.entry.sign_in import SignInPage, SignInRequest
from sgmp_console.ui.window.help import HelpDialog
from sgmp_console.ui.window.uncaught import UncaughtErrors, crash_dialog, uncaught_dialog

if TYPE_CHECKING:
    from sgmp_console.store import SignInRefused
    from sgmp_console.store.accounts import Account
    from sgmp_console.store.houses import House
    from sgmp_console.ui.window.frame.main_view import MainView

log = logging.getLogger(__name__)

_FRAME_KNOWN_MS = 100
_FRAME_LATE_MS = 3_000
"""After which a window manager has usually, and at the latest, put its frame around a window that was shown."""


class Console(QMainWindow):
    """`folder` is where it remembers; None: it does not. `find_keychain` is called on a worker thread."""

    signed_in = Signal(object)
    """The MainView, about to be shown."""
    stage_changed = Signal(str)
    """What is on screen: `preparation`, `sign_in`, `choose_password`, `main`."""
    main_view_loaded = Signal()
    """The libraries that the main view needs are in memory."""
    preparation_staged = Signal(str, str, object)
    preparation_failed = Signal(str)
    """Of the PreparationProcess."""

    def __init__(
        self,
        tasks: Tasks,
        appearance: Appearance,
        errors: UncaughtErrors,
        window: WindowSettings,
        folder: Path | None,
        parent: QWidget | None = None,
        *,
        find_keychain: Callable[[], Keychain | None] = keychain.of_this_computer,
    ) -> None:
        super().__init__(parent)
        self._tasks = tasks
        self.appearance = appearance
        self._window = window
        self._folder = folder
        self._profiles: list[Profile] = []
        self._session: Session | None = None
        self._preparation: PreparationProcess | None = None
        self._prepared_access: Prepared | None = None
        self._view: MainView | None = None
        self._signing_in: Task[tuple[Session, list[House]]] | None = None
        self._choosing: ChoosePasswordPage | None = None
        self._request: SignInRequest | None = None
        self._initial = ""
        self.setWindowTitle("SGMP")
        self.setMinimumSize(960, 600)  # with a frame it fits a screen of 1024x650
        self._stack = QStackedWidget()
        self._stack.setProperty("surface", "window")
        self.setCentralWidget(self._stack)
        self.sign_in = SignInPage()
        self.sign_in.wanted.connect(self._sign_in)
        self.sign_in.cancelled.connect(self._forget_sign_in)
        self.sign_in.connections_wanted.connect(self._edit_connections)
        self.sign_in.test_wanted.connect(self._test_connection)
        self.sign_in.connections.setVisible(folder is not None)
        self._stack.addWidget(self.sign_in)
        errors.caught.connect(self._show_uncaught)
        QShortcut(QKeySequence(QKeySequence.StandardKey.HelpContents), self, self.show_help)
        MenuKeys(self)
        self._still_to_load = list(_WITH_QT)
        self._loading = QTimer(self)
        self._loading.timeout.connect(self._load_next)
        self._preload_wanted = True
        self._framed = QTimer(self)
        self._framed.setSingleShot(True)
        self._framed.setInterval(_FRAME_KNOWN_MS)
        self._framed.timeout.connect(self._fit_screen)
        self._mail_password = MailPasswordPrompt(self)
        self._remembered: RememberedPasswords | None = None
        if folder is not None:
            self._remembered = RememberedPasswords(tasks, self.sign_in, find_keychain, self)
            self._remembered.failed.connect(self._keyring_failed)

    # --- The three stages ----------------------------------------------------------------------------------------

    def prepare(self, process: PreparationProcess) -> None:
        """Let the child get ready, then sign in to what it made."""
        self._preparation = process
        self.sign_in.connections.hide()
        self._preparation_page = PreparationPage(process)
        self._preparation_page.retry_wanted.connect(process.start)
        process.ready.connect(self._prepared)
        process.staged.connect(self.preparation_staged)
        process.staged.connect(self._show_beside)
        process.failed.connect(self.preparation_failed)
        process.ended.connect(self._preparation_ended)
        self._stack.addWidget(self._preparation_page)
        self._show(self._preparation_page, "preparation")
        process.start()

    def ask_to_sign_in(self, profiles: list[Profile], email: str = "", password: str = "") -> None:
        """With all three given it signs in at once."""
        self._profiles = profiles
        self.sign_in.set_profiles(profiles, self._window.profile, email or self._window.email)
        self._show(self.sign_in, "sign_in")
        if profiles and email and password:
            self.sign_in.set_busy(True)
            self._sign_in(SignInRequest(profiles[0], email, password))

    def shut_down(self) -> None:
        """Leave the session; the preparation's child is its owner's to stop."""
        self._loading.stop()
        self._framed.stop()
        self._mail_password.close()
        self._remember()
        self.hide()
        self._leave()

    def session(self) -> Session | None:
        return self._session

    # --- Sign-in -------------------------------------------------------------------------------------------------

    def _prepared(self, prepared: Prepared) -> None:
        self._profiles = [prepared.profile]
        self._prepared_access = prepared
        if not prepared.password:
            self.ask_to_sign_in(self._profiles, prepared.email)
            self.sign_in.show_error(
                UserError(
                    "The demo's first password was changed: sign in with the new one. With --reset the demo starts afresh."
                ),
                slow_down=False,
            )
            return
        self._preparation_page.show_signing_in()
        self._sign_in(SignInRequest(prepared.profile, prepared.email, prepared.password))

    def _sign_in(self, request: SignInRequest) -> None:
        profile = request.profile
        chain = self._remembered.keychain if self._remembered is not None else None

        def connect() -> tuple[Session, list[House]]:
            # The database libraries are loaded here, on the worker thread, while the window is on screen already.
            from sgmp_console.fleet import passwords
            from sgmp_console.store import accounts

            database, account = accounts.sign_in(
                profile.database_url, profile.deployment, request.email, request.password
            )
            if account.must_change_password:
                passwords.load()
            session = Session(profile, database, account, chain, self._mail_password.ask)
            try:
                return session, _houses_of(session)
            except BaseException:
                database.dispose()
                raise

        self._request = request
        self._signing_in = self._tasks.run(self, connect, self._let_in, self._refused)

    def _edit_connections(self) -> None:
        folder = self._folder
        if folder is None:
            return
        try:
            known = settings.load_profiles(folder)
        except SettingsError as error:
            self.sign_in.show_error(error)
            return
        for profile in self._profiles:
            if profile.name not in {one.name for one in known}:
                known.append(profile)
        dialog = ConnectionsDialog(
            known,
            self.sign_in.profile.currentText(),
            lambda profiles: settings.save_profiles(folder, profiles),
            self._tasks,
            self,
            email=self.sign_in.email.text().strip(),
            password=self.sign_in.password.text(),
            keychain=self._remembered.keychain if self._remembered is not None else None,
        )
        dialog.keyring_failed.connect(self._keyring_failed)
        dialog.saved.connect(self._connections_saved)
        dialog.open()

    def _test_connection(self, profile: Profile) -> None:
        email, password = self.sign_in.email.text().strip(), self.sign_in.password.text()
        chain = self._remembered.keychain if self._remembered is not None else None

        def mail_password() -> str:
            return (chain and chain.mail_password(profile)) or ""

        ConnectionTestDialog(profile, email, password, mail_password, self._tasks, self).open()

    def _connections_saved(self, profiles: list[Profile], chosen: str) -> None:
        self._profiles = profiles
        self.sign_in.set_profiles(profiles, chosen, self._window.email)

    def _forget_sign_in(self) -> None:
        if self._signing_in is not None:
            self._signing_in.forget()

    def _refused(self, error: Exception) -> None:
        if self._preparation is not None and self._stack.currentWidget() is self._preparation_page:
            sentence = explain(error)
            self._preparation_page.show_failure(sentence)
            self.preparation_failed.emit(sentence)
        else:
            self.sign_in.show_error(error)

    def _let_in(self, entered: tuple[Session, list[House]]) -> None:
        session, _ = entered
        request, self._request = self._request, None
        self.sign_in.set_busy(False)
        self.sign_in.forget_password()
        if request is not None and self._remembered is not None:
            self._remembered.signed_in(
                session.profile, session.account.email, request.password, remember=request.remember
            )
        if session.account.must_change_password and request is not None:
            self._ask_for_password(session, request.password)
        else:
            self._enter(entered)

    def _ask_for_password(self, session: Session, initial: str) -> None:
        """Nothing else is possible before it is changed: the database shows such an account nothing."""
        page = ChoosePasswordPage(session.account)
        self._session, self._choosing, self._initial = session, page, initial
        page.chosen.connect(self._choose_password)
        page.left.connect(self._sign_out)
        self._stack.addWidget(page)
        self._show(page, "choose_password")
        page.fields.focus_first()

    def _choose_password(self, change: PasswordChange) -> None:
        session, page, initial = self._session, self._choosing, self._initial
        if session is None or page is None:
            return

        def work() -> tuple[Session, list[House]]:
            from sgmp_console.cloud import services
            from sgmp_console.fleet import accounts as fleet_accounts
            from sgmp_console.store import accounts

            fleet_accounts.change_own_password(
                session.database,
                session.account.email,
                initial,
                change.new,
                directory=services.directory(session.profile),
            )
            with session.database.begin() as connection:
                active = replace(session, account=accounts.current(connection))
            return active, _houses_of(active)

        def entered(result: tuple[Session, list[House]]) -> None:
            self._drop_choosing()
            self._password_changed(change.new)
            self._enter(result)

        self._tasks.run(page, work, entered, page.show_error, pool="act")

    def _drop_choosing(self) -> None:
        self._initial = ""
        if self._choosing is not None:
            self._stack.removeWidget(self._choosing)
            self._choosing.deleteLater()
            self._choosing = None

    def _enter(self, entered: tuple[Session, list[House]]) -> None:
        # Imported now: charts, and with them pyqtgraph, are not needed before.
        from sgmp_console.ui.window.desktop_notices import DesktopNotices
        from sgmp_console.ui.window.frame.main_view import MainView

        session, found = entered
        self._session = session
        view = MainView(
            session,
            found,
            self._tasks,
            self.appearance,
            rail_collapsed=self._window.rail_collapsed,
            desktop_notices=self._window.desktop_notices,
            column_widths=self._window.column_widths,
        )
        self._view = view
        view.sign_out_wanted.connect(self._sign_out)
        view.help_wanted.connect(self.show_help)
        view.signed_out.connect(self._signed_out)
        view.account_changed.connect(self._follow_account)
        view.password_changed.connect(self._password_changed)
        view.house_shown.connect(self._remember_house)
        view.rail_collapsed_changed.connect(self._remember_rail)
        notices = DesktopNotices(self, enabled=self._window.desktop_notices, parent=view)
        view.findings_read.connect(notices.show_findings)
        view.desktop_notices_changed.connect(notices.set_enabled)
        view.desktop_notices_changed.connect(self._remember_desktop_notices)
        self._stack.addWidget(view)
        self.signed_in.emit(view)
        view.start(self._window.house_id)
        self._show(view, "main")
        if self._preparation is None:
            self._window = replace(self._window, profile=session.profile.name, email=session.account.email)
            if session.profile not in self._profiles:
                self._save_profile(session.profile)

    def _sign_out(self) -> None:
        self._leave()
        self.ask_to_sign_in(self._profiles)
        if self._prepared_access is not None:
            # Nobody has ever typed it.
            self.sign_in.fill_in(self._prepared_access.email, self._prepared_access.password)

    def _signed_out(self, error: SignInRefused) -> None:
        """The database no longer lets this account in: what was on screen is none of its business any more."""
        from sgmp_console.store import SignedOut, SignInRefused

        self._leave()
        self.ask_to_sign_in(self._profiles)
        reason = SignedOut() if type(error) is SignInRefused else error
        self.sign_in.show_error(reason, slow_down=False)

    def _follow_account(self, account: Account) -> None:
        """Build the pages again, for the present permissions of the account."""
        old, view = self._session, self._view
        if old is None or view is None:
            return
        session, page = replace(old, account=account), view.shown_page()

        def entered(result: tuple[Session, list[House]]) -> None:
            self._leave_view()
            self._enter(result)
            if self._view is not None:
                self._view.show_page(page)

        self._tasks.run(self, lambda: (session, _houses_of(session)), entered, self._not_followed)

    def _not_followed(self, error: Exception) -> None:
        if self._view is not None and isinstance(error, SgmpError):
            self._view.say("warning", str(error))

    def _leave(self) -> None:
        self._leave_view()
        self._drop_choosing()
        if self._session is not None:
            self._session.close()
            self._session = None

    def _leave_view(self) -> None:
        if self._view is not None:
            self._view.close_down()
            self._stack.removeWidget(self._view)
            self._view.deleteLater()
            self._view = None

    def _show_beside(self, _stage: str, text: str, fraction: float | None) -> None:
        """What is still prepared while the window is in use already."""
        if self._view is not None:
            self._view.status.show_beside(text, fraction)

    def _preparation_ended(self) -> None:
        """What we are signed in to is gone with it."""
        self._leave()
        self._preparation_page.show_failure(
            "What was prepared has ended unexpectedly. Retry starts it again."
        )
        self._show(self._preparation_page, "preparation")

    def _password_changed(self, password: str) -> None:
        session, access = self._session, self._prepared_access
        if session is not None and access is not None and access.email == session.account.email:
            self._prepared_access = replace(access, password=password)
        if session is not None and self._remembered is not None:
            self._remembered.password_changed(session.profile, session.account.email, password)

    def _keyring_failed(self, error: Exception) -> None:
        log.warning("%s", error)
        if self._view is not None and isinstance(error, SgmpError):
            self._view.say("warning", str(error))

    # --- Remembering ---------------------------------------------------------------------------------------------

    def _remember_house(self, house_id: int) -> None:
        self._window = replace(self._window, house_id=house_id)

    def _remember_rail(self, collapsed: bool) -> None:
        self._window = replace(self._window, rail_collapsed=collapsed)

    def _remember_desktop_notices(self, wanted: bool) -> None:
        self._window = replace(self._window, desktop_notices=wanted)

    def _save_profile(self, profile: Profile) -> None:
        self._profiles = [*self._profiles, profile]
        if self._folder is not None:
            try:
                settings.save_profiles(self._folder, self._profiles)
            except SettingsError as error:
                log.warning("%s", error)

    def _remember(self) -> None:
        if self._folder is None:
            return
        geometry = self.normalGeometry() if self.isMaximized() else self.geometry()
        self._window = replace(
            self._window,
            theme=self.appearance.choice,
            width=geometry.width(),
            height=geometry.height(),
            maximized=self.isMaximized(),
        )
        try:
            settings.save_window(self._folder, self._window)
        except SettingsError as error:
            log.warning("%s", error)

    # --- Window --------------------------------------------------------------------------------------------------

    def show_window(self) -> None:
        """As it was left, but never larger than the screen."""
        room = self.screen().availableGeometry()
        wanted = QSize(min(self._window.width, room.width()), min(self._window.height, room.height()))
        self.resize(wanted.expandedTo(self.minimumSize()))
        # Painted once before it is seen: a window that is mapped first is black until fonts, icons and style are read.
        self.grab()
        if self._window.maximized:
            self.showMaximized()
        else:
            self.show()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        super().showEvent(event)
        self._framed.start(_FRAME_KNOWN_MS)
        if self._preload_wanted:
            self._preload_wanted = False
            self._tasks.run(self, _load_without_qt, self._loaded_without_qt, self._not_loaded)

    def _fit_screen(self) -> None:
        """With its frame, which is there only once the window is: else the status bar is below the screen."""
        if self.isMaximized() or self.isFullScreen() or not self.isVisible():
            return
        if not has_frame(self) and self._framed.interval() < _FRAME_LATE_MS:
            self._framed.start(2 * self._framed.interval())
        keep_on_screen(self)

    def _show(self, page: QWidget, stage: str) -> None:
        self._stack.setCurrentWidget(page)
        self.stage_changed.emit(stage)

    def show_help(self) -> None:
        HelpDialog(settings.log_folder() if self._folder is not None else None, self).open()

    def show_crash(self, report: str, log_folder: Path) -> None:
        """Offer what is known of the crash that ended the last run."""
        crash_dialog(report, log_folder, self).open()

    def _loaded_without_qt(self, _nothing: None) -> None:
        self._loading.start(0)

    def _load_next(self) -> None:
        """One module for each pass of the event loop, so that typing goes on in between."""
        name = self._still_to_load.pop(0)
        if not self._still_to_load:
            self._loading.stop()
        importlib.import_module(name)
        if not self._still_to_load:
            self.main_view_loaded.emit()

    def _not_loaded(self, error: Exception) -> None:
        log.error("the main view's libraries can't be loaded", exc_info=error)

    def _show_uncaught(self, details: str) -> None:
        uncaught_dialog(details, self).open()


def _houses_of(session: Session) -> list[House]:
    """On a worker thread."""
    from sgmp_console.store import houses

    with session.database.begin() as connection:
        return houses.list_all(connection)


_WITHOUT_QT = ("sgmp_console.store", "sgmp_console.reports.live", "sgmp_console.fleet.accounts")
_WITH_QT = (
    "pyqtgraph",
    "sgmp_console.ui.charts.time_chart",
    "sgmp_console.ui.window.frame.main_view",
    "sgmp_console.ui.pages.home.page",
)
"""What the sign-in page does without. The second kind defines Qt classes, which only the GUI thread may: Qt asks for a
widget's meta-object without the interpreter's lock, and PySide then searches a table that a class defined on another
thread changes under it (a null pointer in `MetaObjectBuilder::update`).

WORKAROUND: PySide6 6.11; no upstream report known."""


def _load_without_qt() -> None:
    """On a worker thread."""
    for name in _WITHOUT_QT:
        importlib.import_module(name)

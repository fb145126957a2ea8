"""Sign-in passwords in the computer's keyring, for the sign-in page. What fails there is reported, and stops nothing."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Signal

from sgmp_console.keychain import Keychain
from sgmp_console.settings import Profile
from sgmp_console.ui.tasks import Tasks
from sgmp_console.ui.window.entry.sign_in import SignInPage


class RememberedPasswords(QObject):
    """Looks for a keyring at once; with one, the page offers to remember, and what is remembered is filled in."""

    failed = Signal(object)
    """An Exception."""

    def __init__(
        self, tasks: Tasks, page: SignInPage, find: Callable[[], Keychain | None], parent: QObject
    ) -> None:
        super().__init__(parent)
        self._tasks = tasks
        self._page = page
        self._remembers = False
        self.keychain: Keychain | None = None
        page.who_changed.connect(self._recall)
        page.forget_wanted.connect(self._forget)
        tasks.run(self, find, self._found, self.failed.emit)

    def signed_in(self, profile: Profile, email: str, password: str, *, remember: bool) -> None:
        self._remembers = remember
        self.password_changed(profile, email, password)

    def password_changed(self, profile: Profile, email: str, password: str) -> None:
        """What is remembered follows, where anything is."""
        chain = self.keychain
        if chain is not None and self._remembers:
            self._run(lambda: chain.keep_sign_in_password(profile, email, password))

    def _found(self, found: Keychain | None) -> None:
        self.keychain = found
        if found is not None:
            self._page.offer_keyring()
            self._recall()

    def _recall(self) -> None:
        who, chain = self._page.who(), self.keychain
        if chain is None or who is None or not self._page.isVisible():
            return

        def recalled(password: str | None) -> None:
            if password and self._page.who() == who and self._page.isVisible():
                self._page.fill_remembered(password)

        self._tasks.run(self, lambda: chain.sign_in_password(*who), recalled, self.failed.emit)

    def _forget(self) -> None:
        who, chain = self._page.who(), self.keychain
        if chain is not None and who is not None:
            self._run(lambda: chain.forget_sign_in_password(*who))

    def _run(self, work: Callable[[], None]) -> None:
        self._tasks.run(self, work, self._done, self.failed.emit)

    def _done(self, _nothing: None) -> None:
        """Nothing is shown of it."""

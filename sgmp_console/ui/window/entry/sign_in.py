"""The sign-in page: where to, who, password. What goes wrong is said at the place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from PySide6.QtCore import QEvent, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import QHideEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLineEdit, QProgressBar, QVBoxLayout, QWidget

from sgmp_console.errors import Unavailable
from sgmp_console.resources import resource
from sgmp_console.settings import Profile, SettingsError
from sgmp_console.ui import fonts, icons, plain_text
from sgmp_console.ui.explain import explain
from sgmp_console.ui.parts.buttons import CheckBox, ComboBox, button
from sgmp_console.ui.parts.card import centred
from sgmp_console.ui.parts.fields import Field
from sgmp_console.ui.parts.labels import IconLabel, label

_WIDTH = 400
_REFUSALS_BEFORE_WAITING = 3
_LONGEST_WAIT_S = 30


@dataclass(frozen=True)
class SignInRequest:
    profile: Profile
    email: str
    password: str = field(repr=False)
    remember: bool = False
    """In the keyring, if signing in succeeds."""


class SignInPage(QWidget):
    """`wanted` carries a SignInRequest; answer with `show_error`, or by showing something else."""

    wanted = Signal(object)
    cancelled = Signal()
    connections_wanted = Signal()
    """The connection profiles are to be edited."""
    test_wanted = Signal(object)
    """The connection of this Profile is to be tested."""
    who_changed = Signal()
    """Another profile, or another email was entered: `who()`."""
    forget_wanted = Signal()
    """The password of `who()` is not to be remembered any more."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        outer = QVBoxLayout(self)
        card = QFrame()
        card.setProperty("surface", "card")
        card.setFixedWidth(_WIDTH)
        centred(outer, card)
        column = QVBoxLayout(card)
        column.setContentsMargins(32, 28, 32, 28)
        column.setSpacing(4)
        column.addWidget(_Mark())
        column.addSpacing(8)
        column.addWidget(label("Sign in to SGMP", "heading"))
        self._server = label("", "caption", "muted", wraps=True)
        column.addWidget(self._server)
        column.addSpacing(12)
        self._profiles: tuple[Profile, ...] = ()
        self._filled_for: tuple[Profile, str] | None = None
        self.profile = ComboBox()
        self.profile.currentIndexChanged.connect(self._profile_changed)
        self.address = QLineEdit()
        self.address.setPlaceholderText("postgresql://host:5432/sgmp")
        self.deployment = QLineEdit("sgmp")
        self.email = QLineEdit()
        self.password = QLineEdit()
        self.password.setEchoMode(QLineEdit.EchoMode.Password)
        self._profile = Field("Connection", self.profile, keeps_line=True)
        self._address = Field("Database address", self.address, keeps_line=True)
        self._deployment = Field("Deployment", self.deployment, keeps_line=True)
        self._email = Field("Email", self.email, keeps_line=True)
        self._password = Field("Password", self.password, keeps_line=True)
        for part in (self._profile, self._address, self._deployment, self._email, self._password):
            column.addWidget(part)
        self.remember = CheckBox("Remember in this computer's keyring")
        self.remember.hide()
        self.remember.clicked.connect(self._remember_clicked)
        column.addWidget(self.remember)
        self._fault = QFrame()
        self._fault.setProperty("surface", "fault")
        fault = QHBoxLayout(self._fault)
        fault.setContentsMargins(12, 8, 12, 8)
        fault.setSpacing(10)
        fault.addWidget(IconLabel("fault", "state_fault"), alignment=Qt.AlignmentFlag.AlignTop)
        said = QVBoxLayout()
        said.setSpacing(4)
        self._sentence = label("", "body", wraps=True)
        self._cause = label("", "caption", "muted", wraps=True)
        self._test = button("Test connection", self._ask_for_test)
        said.addWidget(self._sentence)
        said.addWidget(self._cause)
        said.addWidget(self._test, alignment=Qt.AlignmentFlag.AlignLeft)
        fault.addLayout(said, 1)
        self._fault.hide()
        column.addWidget(self._fault)
        column.addSpacing(8)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        self.submit = button("Sign in", self._submit, "primary")
        self._cancel = button("Cancel", self._give_up)
        buttons.addWidget(self.submit, 1)
        buttons.addWidget(self._cancel)
        column.addLayout(buttons)
        column.addSpacing(8)
        self._progress = QProgressBar()
        self._progress.setRange(0, 0)
        self._progress.setTextVisible(False)
        self._progress.setAccessibleName("Signing in")
        column.addWidget(self._progress)
        self.connections = button("Connections", self.connections_wanted.emit, "quiet")
        self.connections.setToolTip("Add, edit, test and delete connections")
        column.addWidget(self.connections, alignment=Qt.AlignmentFlag.AlignHCenter)
        self._refusals = 0
        self._seconds_to_wait = 0
        self._wait = QTimer(self)
        self._wait.setInterval(1000)
        self._wait.timeout.connect(self._tick)
        for entry in (self.address, self.deployment, self.email, self.password):
            entry.setFont(fonts.font("body"))
            entry.returnPressed.connect(self._submit)
            entry.textEdited.connect(self._edited)
        self.email.editingFinished.connect(self._who_changed)
        self.set_busy(False)
        self.set_profiles((), "", "")

    def set_profiles(self, profiles: Sequence[Profile], chosen: str, email: str) -> None:
        """Without any, the page asks for the address of the database and the name of the deployment."""
        self._profiles = tuple(profiles)
        self.profile.clear()
        for profile in self._profiles:
            self.profile.addItem(profile.name)
        names = [profile.name for profile in self._profiles]
        if chosen in names:
            self.profile.setCurrentIndex(names.index(chosen))
        self._profile.setVisible(len(self._profiles) > 1)
        self._address.setVisible(not self._profiles)
        self._deployment.setVisible(not self._profiles)
        if not self.email.text():
            self.email.setText(email)
        self._profile_changed()
        self._focus_first_empty()

    def offer_keyring(self) -> None:
        """There is a keyring to remember passwords in."""
        self.remember.show()

    def who(self) -> tuple[Profile, str] | None:
        """The profile and the email that are chosen; None while they are not."""
        email = self.email.text().strip()
        return (
            (self._profiles[max(0, self.profile.currentIndex())], email) if self._profiles and email else None
        )

    def fill_in(self, email: str, password: str) -> None:
        """An account that was prepared: all that is left is to press the button."""
        self.email.setText(email)
        self.password.setText(password)
        self.submit.setFocus()

    def fill_remembered(self, password: str) -> None:
        """What the keyring holds for `who()`; what was typed meanwhile goes before."""
        if not self.password.text():
            self.password.setText(password)
            self._filled_for = self.who()
            self.remember.setChecked(True)
            self.submit.setFocus()

    def _who_changed(self) -> None:
        # What the keyring held for one server must not go to another.
        if self._filled_for is not None and self._filled_for != self.who():
            self._filled_for = None
            self.password.clear()
            self.remember.setChecked(False)
        self.who_changed.emit()

    def set_busy(self, busy: bool) -> None:
        entries = (self.profile, self.address, self.deployment, self.email, self.password)
        for entry in (*entries, self.remember, self.connections, self.submit):
            entry.setEnabled(not busy)
        self.submit.setText("Signing in" if busy else "Sign in")
        self._cancel.setVisible(busy)
        # Kept in the layout, so that nothing moves.
        self._progress.setRange(0, 0 if busy else 1)
        policy = self._progress.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self._progress.setSizePolicy(policy)
        self._progress.setVisible(busy)
        if busy:
            self._edited()
            self._cancel.setFocus()

    def show_error(self, error: Exception, *, slow_down: bool = True) -> None:
        """Ready for another attempt; what was typed stays. `slow_down`: it was an attempt that failed."""
        self.set_busy(False)
        away = isinstance(error, Unavailable)
        if away:
            # What the driver says names addresses and system calls; what to do stands before it.
            self._sentence.setText(
                f"The server {self._host()} does not answer. Check that this computer is in the right network and that "
                "the server is running. The test looks at each step and says what to do."
            )
        else:
            self._sentence.setText(explain(error))
        self._cause.setText(str(error) if away else "")
        self._cause.setVisible(away)
        self._test.setVisible(away)
        self._fault.show()
        self.password.setFocus()
        self.password.selectAll()
        if slow_down:
            self._slow_down(error)

    def _ask_for_test(self) -> None:
        if (profile := self._chosen_profile()) is not None:
            self.test_wanted.emit(profile)

    def _host(self) -> str:
        profile = self._chosen_profile()
        return profile.database_host if profile is not None else ""

    def forget_password(self) -> None:
        self.password.clear()
        self._filled_for = None
        self._refusals = 0

    def _slow_down(self, error: Exception) -> None:
        """Repeated refusals make the next attempt wait, longer each time, before the server locks the account out."""
        # Such an error comes from these libraries, so they are loaded.
        from sgmp_console.store import SignInRefused

        if isinstance(error, SignInRefused):
            self._refusals += 1
            if self._refusals >= _REFUSALS_BEFORE_WAITING:
                self._seconds_to_wait = min(2 ** (self._refusals - 2), _LONGEST_WAIT_S)
                self._wait.start()
                self._show_waiting()

    def _tick(self) -> None:
        self._seconds_to_wait -= 1
        if self._seconds_to_wait <= 0:
            self._wait.stop()
        self._show_waiting()

    def _show_waiting(self) -> None:
        waits = self._seconds_to_wait > 0
        self.submit.setEnabled(not waits)
        self.submit.setText(f"Sign in possible in {self._seconds_to_wait}\u00a0s" if waits else "Sign in")

    def _remember_clicked(self, on: bool) -> None:
        if not on:
            self.forget_wanted.emit()

    def _submit(self) -> None:
        if not self.submit.isEnabled():
            return
        email, password = self.email.text().strip(), self.password.text()
        self._email.set_problem("" if "@" in email else "An email address looks like name@example.org.")
        self._password.set_problem("" if password else "Enter the password.")
        profile = self._chosen_profile()
        wrong = (self._address, self._email, self._password)
        first = next((entry for entry in wrong if entry.problem), None)
        if first is not None or profile is None:
            if first is not None:
                first.entry.setFocus()
            return
        self.set_busy(True)
        self.wanted.emit(SignInRequest(profile, email, password, self.remember.isChecked()))

    def _chosen_profile(self) -> Profile | None:
        if self._profiles:
            return self._profiles[max(0, self.profile.currentIndex())]
        address, deployment = self.address.text().strip(), self.deployment.text().strip() or "sgmp"
        if "://" not in address:
            self._address.set_problem("A database address looks like postgresql://host:5432/sgmp.")
            return None
        try:
            made = Profile(name=deployment, database_url=address, deployment=deployment)
        except SettingsError as error:
            self._address.set_problem(str(error))
            return None
        self._address.set_problem("")
        return made

    def _profile_changed(self) -> None:
        if self._profiles:
            profile = self._profiles[max(0, self.profile.currentIndex())]
            self._server.setText(plain_text.one_line(f"{profile.name} at {profile.database_host}"))
            self._who_changed()
        self._server.setVisible(bool(self._profiles))

    def _edited(self) -> None:
        for entry in (self._address, self._email, self._password):
            entry.set_problem("")
        self._fault.hide()

    def _give_up(self) -> None:
        self.set_busy(False)
        self.password.setFocus()
        self.cancelled.emit()

    def _focus_first_empty(self) -> None:
        entries = [self.address] if not self._profiles else []
        entries += [self.email, self.password]
        next((entry for entry in entries if not entry.text()), self.password).setFocus()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802
        super().hideEvent(event)
        self._wait.stop()
        self._seconds_to_wait = 0
        self._show_waiting()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        super().changeEvent(event)
        if event.type() == QEvent.Type.EnabledChange and self.isEnabled():
            self._focus_first_empty()


class _Mark(QWidget):
    def __init__(self) -> None:
        super().__init__()
        self.setFixedHeight(48)
        self._mark = icons.mark(resource("icons/sgmp.svg"))

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._mark.render(painter, QRectF(0, 0, 44, 44))

"""The rules that are judged in the house on screen: its own and those of all houses, each with how it stands now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from zoneinfo import ZoneInfo

from PySide6.QtWidgets import QWidget

from sgmp_console.fleet import rules
from sgmp_console.reports.rules import RuleOverview, RulesOverview, overview
from sgmp_console.store import OperatorRule
from sgmp_console.ui import finding_words, formats
from sgmp_console.ui.dialogs.confirm import confirm
from sgmp_console.ui.page import Services
from sgmp_console.ui.pages.rules import wording
from sgmp_console.ui.pages.rules.editor import RuleEditor
from sgmp_console.ui.parts.empty_state import EmptyState
from sgmp_console.ui.parts.list_page import CREATE_KEYS, DELETE_KEYS, EDIT_KEYS, ListAction, ListPage
from sgmp_console.ui.parts.message_bar import Tone
from sgmp_console.ui.parts.rows import Column, Mark
from sgmp_console.watch.operator_rules import Standing

_READ_EVERY_MS = 10_000
"""Values change by themselves."""


@dataclass(frozen=True)
class RuleRow(RuleOverview):
    house: str
    zone: ZoneInfo
    now_ms: int


def _state(row: RuleRow) -> str:
    """What it has open, else how it stands."""
    if row.judged is None:
        return "Disabled"
    suspended = row.judged.standing is Standing.SUSPENDED
    if row.finding is not None:
        since = formats.moment(row.finding.from_ms, row.now_ms, row.zone)
        return f"Open since {since}" + (", suspended" if suspended else "")
    if suspended:
        return f"Suspended: {row.judged.problem}"
    return "Holds, not open yet" if row.judged.standing is Standing.HOLDS else "Ok"


def _state_mark(row: RuleRow) -> Mark | None:
    if row.judged is None:
        return None
    if row.finding is not None:
        return Mark(*finding_words.look(row.finding))
    match row.judged.standing:
        case Standing.SUSPENDED:
            return Mark("clock", "ink_muted")
        case Standing.HOLDS:
            return Mark("clock", "state_warning")
        case _:
            return Mark("check", "state_ok")


def _value(row: RuleRow) -> str:
    if row.judged is None or row.judged.value is None:
        return formats.MISSING
    return formats.with_unit(row.judged.value, row.rule.unit)


def _ink(row: RuleRow) -> str:
    return "ink_muted" if row.judged is None else "ink_primary"


COLUMNS: tuple[Column[RuleRow], ...] = (
    Column("Name", lambda row: row.rule.name, 200, strong=True, ink=_ink, tip=lambda row: row.rule.guidance),
    Column("Applies to", lambda row: row.house, 112, ink=_ink, optional=2),
    Column("Opens when", lambda row: wording.condition(row.rule), ink=_ink, tip=lambda row: wording.end(row.rule)),
    Column("Severity", lambda row: wording.SEVERITIES[row.rule.severity], 88, ink=_ink, optional=1,
           sort=lambda row: row.rule.severity.rank),
    Column("Now", _value, 96, right=True, ink=_ink, sort=lambda row: row.judged.value or 0.0 if row.judged else 0.0),
    Column("State", _state, 200, mark=_state_mark, ink=_ink, tip=_state),
)  # fmt: skip


class RulesPage(ListPage[RuleRow, RulesOverview]):
    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(
            services,
            noun="rule",
            columns=COLUMNS,
            id_=lambda row: row.rule.rule_id,
            of_house=True,
            every_ms=_READ_EVERY_MS,
            copied=lambda row: (row.rule.name, wording.condition(row.rule)),
            parent=parent,
        )
        self.declare(
            (
                ListAction("delete", "Delete", self._ask_to_delete, "some", counted=True, keys=DELETE_KEYS),
                ListAction("disable", "Disable", partial(self._enable, False), "some"),
                ListAction("enable", "Enable", partial(self._enable, True), "some"),
                ListAction("duplicate", "Duplicate", self._duplicate, "one"),
                ListAction("edit", "Edit", self._edit, "one", keys=EDIT_KEYS),
                ListAction("create", "Create rule", self._create, keys=CREATE_KEYS, primary=True),
            )
        )

    def reader(self) -> Callable[[], RulesOverview]:
        database, house_id = self.services.session.database, self._house_id or 0
        now_ms = self.services.now_ms()

        def read() -> RulesOverview:
            with database.begin() as connection:
                return overview(connection, house_id, now_ms)

        return read

    def rows_of(self, found: RulesOverview) -> Sequence[RuleRow]:
        now_ms, zone = self.services.now_ms(), ZoneInfo(found.house.time_zone)
        return [
            RuleRow(
                one.rule,
                one.judged,
                one.finding,
                "All houses" if one.rule.house_id is None else "This house",
                zone,
                now_ms,
            )
            for one in found.rules
        ]

    def empty_state(self, found: RulesOverview) -> EmptyState:
        return EmptyState(
            "wave",
            f"{found.house.name} has no rules yet",
            "A rule watches a formula: where its values are beyond a threshold for long, that is a finding, and recipients of "
            "notifications hear of it. There are suggestions to begin with.",
            (("create", "Create rule"),),
        )

    def actions_shown(self, chosen: Sequence[RuleRow]) -> None:
        may_change = all(row.rule.house_id is not None or self._may_all() for row in chosen)
        for act, enabled in (("enable", False), ("disable", True)):
            self.action(act).setEnabled(any(row.rule.enabled is enabled for row in chosen))
        if not may_change:
            for act in ("delete", "edit", "enable", "disable"):
                self.disable(act, "A rule of all houses is changed by who may see all houses.")

    def standing(self) -> tuple[Tone, str, tuple[tuple[str, str], ...]] | None:
        """That no watch runs."""
        if self.found is None:
            return None
        now_ms, age_ms = self.services.now_ms(), self.found.watch_age_ms
        problem = finding_words.watch_problem(None if age_ms is None else now_ms - age_ms, now_ms)
        return ("warning", f"{problem}. Rules open nothing until it runs.", ()) if problem else None

    def _may_all(self) -> bool:
        return self.services.session.may("all_houses")

    # --- Acts --------------------------------------------------------------------------------------------------------

    def _create(self) -> None:
        self._open_editor(None)

    def _edit(self) -> None:
        chosen = self.table.chosen()
        if len(chosen) == 1:
            self._open_editor(chosen[0].rule)

    def _duplicate(self) -> None:
        chosen = self.table.chosen()
        if len(chosen) == 1:
            self._open_editor(None, like=chosen[0].rule)

    def _open_editor(self, rule: OperatorRule | None, like: OperatorRule | None = None) -> None:
        if self.found is not None:
            editor = RuleEditor(self.services, self.found.house, self.found.items, rule, self, like=like)
            editor.saved.connect(self._saved)
            editor.left.connect(self.reload)
            editor.open()

    def _saved(self, rule: OperatorRule) -> None:
        self.say("")
        self.reload_and_select(rule.rule_id)

    def _enable(self, enabled: bool) -> None:
        chosen = [row.rule for row in self.table.chosen() if row.rule.enabled is not enabled]
        database = self.services.session.database
        self.run_act(
            "Enabling rules" if enabled else "Disabling rules",
            lambda _report: rules.enable(database, chosen, enabled=enabled),
            self.changed,
        )

    def _ask_to_delete(self) -> None:
        chosen = [row.rule for row in self.table.chosen()]
        if not chosen:
            return
        what = chosen[0].name if len(chosen) == 1 else f"{len(chosen)} rules"
        everywhere = any(rule.house_id is None for rule in chosen)
        confirm(
            f"Delete {what}?",
            "What it has open is resolved; past findings stay."
            + (" It is of all houses." if everywhere else ""),
            f"Delete {what}",
            self,
            partial(self._delete, [rule.rule_id for rule in chosen]),
        )

    def _delete(self, rule_ids: Sequence[int]) -> None:
        database = self.services.session.database
        self.run_act("Deleting rules", lambda _report: rules.delete(database, rule_ids), self.changed)

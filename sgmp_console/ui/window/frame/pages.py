"""The pages there are. To add one, add a line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sgmp_console.ui.page import Page, Services


@dataclass(frozen=True)
class PageDeclaration:
    """`group` sets entries of the rail apart. An account without `permission` never sees the page. `factory` imports
    what it needs, so that a page costs nothing until it is first shown."""

    id_: str
    title: str
    icon: str
    group: str
    permission: str
    factory: Callable[[Services], Page]
    has_time_range: bool = False


def _home(services: Services) -> Page:
    from sgmp_console.ui.pages.home.page import HomePage

    return HomePage(services)


def _devices(services: Services) -> Page:
    from sgmp_console.ui.pages.devices.page import DevicesPage

    return DevicesPage(services)


def _analytics(services: Services) -> Page:
    from sgmp_console.ui.pages.analytics.page import AnalyticsPage

    return AnalyticsPage(services)


def _houses(services: Services) -> Page:
    from sgmp_console.ui.pages.houses.page import HousesPage

    return HousesPage(services)


def _audit(services: Services) -> Page:
    from sgmp_console.ui.pages.audit.page import AuditPage

    return AuditPage(services)


def _accounts(services: Services) -> Page:
    from sgmp_console.ui.pages.accounts.page import AccountsPage

    return AccountsPage(services)


def _roles(services: Services) -> Page:
    from sgmp_console.ui.pages.roles.page import RolesPage

    return RolesPage(services)


PAGES = (
    PageDeclaration("home", "Home", "home", "", "view_dashboards", _home),
    PageDeclaration("devices", "Devices", "device", "Configuration", "view_devices", _devices),
    PageDeclaration("analytics", "Analytics", "formula", "Configuration", "manage_analytics", _analytics),
    PageDeclaration("houses", "Houses", "house", "Administration", "manage_houses", _houses),
    PageDeclaration("accounts", "Accounts", "account", "Administration", "manage_accounts", _accounts),
    PageDeclaration("roles", "Roles", "key", "Administration", "manage_roles", _roles),
    PageDeclaration("audit", "Audit", "audit", "Administration", "manage_accounts", _audit),
)

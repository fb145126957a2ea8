"""The pages there are. To add one, add a line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sgmp_console.ui.page import Page, Services


@dataclass(frozen=True)
class PageDeclaration:
    """`group` sets entries of the rail apart. `below`: it has no entry of its own, but is reached from other pages; the entry of
    the page `below` is marked while it is shown. An account without `permission` never sees the page. `factory` imports
    what it needs, so that a page costs nothing until it is first shown. `compares`: with a time range, whether it shows two periods."""

    id_: str
    title: str
    icon: str
    group: str
    permission: str
    factory: Callable[[Services], Page]
    has_time_range: bool = False
    compares: bool = True
    below: str = ""

    @property
    def is_kept(self) -> bool:
        """While another page is on screen. What a report shows follows from its period alone: it is built again when it
        is wanted, and its memory is free until then."""
        return not self.has_time_range


def _home(services: Services) -> Page:
    from sgmp_console.ui.pages.home.page import HomePage

    return HomePage(services)


def _report(kind: str) -> Callable[[Services], Page]:
    def factory(services: Services) -> Page:
        from sgmp_console.reports.report import Kind
        from sgmp_console.ui.pages.reports.page import ReportPage

        return ReportPage(Kind(kind), services)

    return factory


def _heat_map(services: Services) -> Page:
    from sgmp_console.ui.pages.reports.heat_map_page import HeatMapPage

    return HeatMapPage(services)


def _events(services: Services) -> Page:
    from sgmp_console.ui.pages.events.page import EventsPage

    return EventsPage(services)


def _quarantine(services: Services) -> Page:
    from sgmp_console.ui.pages.quarantine.page import QuarantinePage

    return QuarantinePage(services)


def _devices(services: Services) -> Page:
    from sgmp_console.ui.pages.devices.page import DevicesPage

    return DevicesPage(services)


def _device(services: Services) -> Page:
    from sgmp_console.ui.pages.devices.device_page import DevicePage

    return DevicePage(services)


def _edge(services: Services) -> Page:
    from sgmp_console.ui.pages.edge.page import EdgePage

    return EdgePage(services)


def _analytics(services: Services) -> Page:
    from sgmp_console.ui.pages.analytics.page import AnalyticsPage

    return AnalyticsPage(services)


def _rules(services: Services) -> Page:
    from sgmp_console.ui.pages.rules.page import RulesPage

    return RulesPage(services)


def _fleet(services: Services) -> Page:
    from sgmp_console.ui.pages.fleet.page import FleetPage

    return FleetPage(services)


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


def _notifications(services: Services) -> Page:
    from sgmp_console.ui.pages.notifications.page import NotificationsPage

    return NotificationsPage(services)


def _maintenance(services: Services) -> Page:
    from sgmp_console.ui.pages.maintenance.page import MaintenancePage

    return MaintenancePage(services)


PAGES = (
    PageDeclaration("home", "Home", "home", "", "view_dashboards", _home),
    PageDeclaration("energy", "Energy", "grid", "Reports", "view_dashboards", _report("energy"), True),
    PageDeclaration("solar", "Solar", "solar", "Reports", "view_dashboards", _report("solar"), True),
    PageDeclaration("battery", "Battery", "battery", "Reports", "view_dashboards", _report("battery"), True),
    PageDeclaration("ev", "EV charging", "ev", "Reports", "view_dashboards", _report("ev"), True),
    PageDeclaration("load", "Load", "load", "Reports", "view_dashboards", _report("load"), True),
    PageDeclaration("heat-map", "Heat map", "heat-map", "Reports", "view_dashboards", _heat_map, True),
    PageDeclaration("events", "Events", "events", "Reports", "view_dashboards", _events, True, False),
    PageDeclaration("devices", "Devices", "device", "Configuration", "view_devices", _devices),
    PageDeclaration("analytics", "Analytics", "formula", "Configuration", "manage_analytics", _analytics),
    PageDeclaration("rules", "Rules", "wave", "Configuration", "manage_analytics", _rules),
    PageDeclaration("maintenance", "Maintenance", "clock", "Configuration", "manage_devices", _maintenance),
    PageDeclaration("quarantine", "Quarantine", "quarantine", "Configuration", "view_devices", _quarantine),
    PageDeclaration("fleet", "Fleet", "fleet", "Administration", "view_devices", _fleet),
    PageDeclaration("houses", "Houses", "house", "Administration", "manage_houses", _houses),
    PageDeclaration(
        "notifications", "Notifications", "info", "Administration", "manage_houses", _notifications
    ),
    PageDeclaration("accounts", "Accounts", "account", "Administration", "manage_accounts", _accounts),
    PageDeclaration("roles", "Roles", "key", "Administration", "manage_roles", _roles),
    PageDeclaration("audit", "Audit", "audit", "Administration", "manage_accounts", _audit),
    PageDeclaration("device", "Device", "device", "", "view_devices", _device, True, False, below="devices"),
    PageDeclaration("edge", "Edge", "broker", "", "view_devices", _edge, below="devices"),
)

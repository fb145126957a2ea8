"""The sun of a clear sky: where it stands, and what a report makes of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from sgmp_console import store
from sgmp_console.reports.report import Kind
from sgmp_console.store import Database, Place
from sgmp_console.timeseries import HOUR_MS, Series
from sgmp_console.timeseries.clear_sky import irradiance
from tests.reports.houses import SOLAR
from tests.reports.test_reports import DAY, MINUTE_MS, StoredHouse

HAMBURG = Place(53.55, 9.99)


def minutes(text: str) -> np.ndarray:
    midnight = int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)
    return midnight + np.arange(0, 24 * 60, dtype=np.int64) * MINUTE_MS


@pytest.mark.parametrize(
    ("day", "place", "noon", "height"),
    [
        # Noon by the equation of time and the longitude, height by the latitude and the declination, of almanacs.
        ("2026-06-21", HAMBURG, 11 * 60 + 22, 90 - 53.55 + 23.44),
        ("2026-12-21", HAMBURG, 11 * 60 + 18, 90 - 53.55 - 23.44),
        ("2026-03-20", Place(37.42, -122.20), 20 * 60 + 16, 90 - 37.42),
        ("2026-12-21", Place(-33.93, 18.42), 10 * 60 + 44, 90 - 33.93 + 23.44),
    ],
)
def test_the_sun_is_highest_at_local_noon_and_as_high_as_the_almanac_says(
    day: str, place: Place, noon: int, height: float
) -> None:
    light = irradiance(minutes(day), place.latitude, place.longitude)
    assert abs(int(light.argmax()) - noon) <= 2
    cosine = np.sin(np.radians(height))
    assert light.max() == pytest.approx(1098 * cosine * np.exp(-0.057 / cosine), rel=0.005)


def test_the_polar_night_is_dark() -> None:
    assert not irradiance(minutes("2026-12-21"), 78.2, 15.6).any()


def test_a_cloudless_house_follows_its_clear_sky_and_one_without_a_place_has_none(
    database: Database,
) -> None:
    stored = StoredHouse(database, "UTC")
    times = np.arange(DAY.start_ms, DAY.end_ms, MINUTE_MS)
    sun = 0.006 * irradiance(times, HAMBURG.latitude, HAMBURG.longitude)
    clouds = (times >= DAY.start_ms + 9 * HOUR_MS) & (times < DAY.start_ms + 10 * HOUR_MS)
    stored.store({SOLAR: Series(times, np.where(clouds, sun / 5, sun))})
    report = stored.report(Kind.SOLAR, DAY, DAY.end_ms)
    assert not any(curve.key == "clear_sky" for curve in report.curves)
    with database.begin() as connection:
        stored.house = store.houses.update(connection, replace(stored.house, place=HAMBURG))
    curves = {curve.key: curve for curve in stored.report(Kind.SOLAR, DAY, DAY.end_ms).curves}
    clear = curves["clear_sky"]
    assert len(clear.values) == 288
    assert clear.values.max() == pytest.approx(sun.max(), rel=0.01)
    under_clouds = slice(9 * 12, 10 * 12)
    assert (curves["solar"].values[under_clouds] < 0.3 * clear.values[under_clouds]).all()

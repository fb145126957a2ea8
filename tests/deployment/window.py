"""What an operator does in the window of the first laptop, by the same functions: sign in, choose a password, create a house with a
meter, synchronize. Prints the house's number.

    python window.py EMAIL INITIAL_PASSWORD PASSWORD METER_ADDRESS
"""

from __future__ import annotations

import sys

from sgmp_console import settings, store
from sgmp_console.cloud import services
from sgmp_console.fleet import accounts, devices, houses, sync


def main(email: str, initial: str, password: str, meter: str) -> None:
    (profile,) = settings.load_profiles(settings.configuration_folder())
    database, account = store.accounts.sign_in(profile.database_url, profile.deployment, email, initial)
    try:
        assert account.must_change_password
        accounts.change_own_password(database, email, initial, password)
        house = houses.create(database, "House One", time_zone="Europe/Berlin")
        devices.create(database, house.house_id, "egauge", "egauge", {"ip": meter, "keys": ["A.Solar", "ts"]})
        channel = services.broker(profile)
        assert channel is not None
        sync.synchronize(database, channel, profile.deployment, house.house_id)
        print(house.house_id)
    finally:
        database.dispose()


main(*sys.argv[1:])

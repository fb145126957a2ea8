"""The reports: Energy, Solar, Battery, EV charging, Load."""

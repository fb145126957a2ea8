"""From a device to a message: the schedule, the devices with their drivers and health, and commands to them."""

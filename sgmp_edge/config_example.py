# Copy this file to config.py and set house_id. The rest can stay as it is.

# ID of this edge's house, as shown in House Settings of the console.
house_id = 1

# Broker, "host" or "host:port". Needed only where the credentials do not bring it along.
# endpoint = "broker.lan:8883"

# Name of the deployment. The credentials bring it along.
# deployment = "sgmp"

# Seconds between two polls of a device whose config has no `interval`.
# poll_interval_s = 4

# Let the console command devices of this house (batteries, chargers).
# allow_control = False

# The largest size of the outbox in MB. A house with 8 devices fills about 250 MB a day without a connection.
# outbox_max_mb = 1024

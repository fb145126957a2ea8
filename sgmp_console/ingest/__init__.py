"""MQTT -> store."""

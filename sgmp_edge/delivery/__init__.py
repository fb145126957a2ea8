"""From a message to the broker: the outbox on disk, the courier, and the connection."""

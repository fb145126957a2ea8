"""Houses: their list, their credentials, and Synchronize Configuration."""

"""Metrics of the services for Prometheus; the Grafana dashboard and the alert rules that are made from their list."""

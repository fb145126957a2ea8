"""What dashboards and reports consist of."""

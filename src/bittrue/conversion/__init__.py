"""Writing a `Graph` for a runtime: one folder a runtime."""

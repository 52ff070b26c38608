"""Faults planted in models, pages and inputs, and how many of them the diagnosis finds: ``make faults``."""

"""Rows, units and formats: a solution becomes a table, JSON, CSV or markdown."""

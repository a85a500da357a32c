"""The optimum on real hardware: many resources at once, model shapes from a list."""

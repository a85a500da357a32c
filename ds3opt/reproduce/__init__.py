"""The figures and tables of the papers, computed again and judged."""

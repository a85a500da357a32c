"""Reading: text to checked data, catalogues, diagnostics with file, line and column."""

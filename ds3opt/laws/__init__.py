"""Pure numerical laws: every function broadcasts, cites its equation and knows no files."""

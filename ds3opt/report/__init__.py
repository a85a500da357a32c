"""From a solution to text: typed rows once, then one small renderer for each format."""

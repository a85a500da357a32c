"""Which numbers an answer hangs on: elasticities, tornado, and what a measurement is worth."""

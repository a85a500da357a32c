"""Plans when the constants are not known exactly: drawn scenarios and what follows from them."""

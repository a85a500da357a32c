"""The command line: one file a command; only here is printed, exited, the environment read."""

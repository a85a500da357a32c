"""The certified optimiser: menus, envelopes, allocation, branch and bound, frontiers."""

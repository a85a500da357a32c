"""One plan for all draws: what a plan does in each, and the best one with its certificate."""

"""Why an answer is what it is: rivals of its policies, what holds classes back, exchange rates."""

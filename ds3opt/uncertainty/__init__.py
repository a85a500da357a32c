"""Plans when the numbers of a scenario are uncertain: draws, what they lead to, what holds."""

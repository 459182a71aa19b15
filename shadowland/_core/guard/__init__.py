"""Built modules of the guard floor: budgets, sources, bans and rules."""

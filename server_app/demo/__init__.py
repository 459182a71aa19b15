"""The demo: a world of players, wandering NPCs and chasing monsters, and the bots that walk in it."""

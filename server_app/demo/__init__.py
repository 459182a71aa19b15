"""The demo: a world of players, NPCs, monsters, arrows and items, and the bots that walk, fight and talk in it."""

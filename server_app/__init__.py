"""The game server: composition root, tick loop, systems, persistence, admin and command line."""

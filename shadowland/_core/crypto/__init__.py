"""crypto: sealing, opening, handshakes and cookies."""

"""compress: LZ4, message by message."""

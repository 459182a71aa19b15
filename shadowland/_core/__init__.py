"""The compiled floors. Private: import from `shadowland` instead."""

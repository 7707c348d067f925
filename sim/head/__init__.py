"""The bench of a head core: driver, monitor, what they feed and what they record."""

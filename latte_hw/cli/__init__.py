"""The `latte` command: the roof over everything else in this package."""

"""The machine that LATTE runs on: folders that can be written, tools that are there, terminals that print."""

"""Synthesis of a core or of one of its blocks: resources per module, checks, place and route, reports."""

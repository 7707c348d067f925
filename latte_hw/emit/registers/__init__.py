"""The register map as SystemRDL, C header, IP-XACT and page."""

"""What every bench is composed of: streams with idle cycles and stalls, AXI models, layouts, recordings."""

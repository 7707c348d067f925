"""AXI4-Stream and AXI4-Lite: signatures of the ports and what lies behind them."""

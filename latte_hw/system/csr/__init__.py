"""Control and status registers: one table makes gateware, driver constants, SystemRDL, C header, IP-XACT and pages."""

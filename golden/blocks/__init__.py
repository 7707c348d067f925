"""The integer twins of the gateware's blocks, one stem each; they define the semantics."""

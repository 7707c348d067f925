"""Commands that measure and write `docs/results/`: race, soak, benchmark, same device."""

"""A local Solana and Jupiter that speak the real protocols; the product knows only their URLs."""

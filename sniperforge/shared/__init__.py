"""The outside world behind the ports: Jupiter, Solana, keys, time."""

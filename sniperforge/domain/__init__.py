"""What a trade is: money, prices, identities, states. Pure: no I/O, no clock, no library."""

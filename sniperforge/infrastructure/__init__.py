"""Use cases that keep SniperForge running and honest. They see ports and the domain, never a library outside."""

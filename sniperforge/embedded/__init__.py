"""`sniperforge up`: Redis, sandbox, workers, beat and Flower as children of one supervisor, under one home."""

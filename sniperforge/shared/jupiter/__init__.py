"""Jupiter behind `ports.exchange`: HTTP client, its schemas, what its codes mean, and the shared request budget."""

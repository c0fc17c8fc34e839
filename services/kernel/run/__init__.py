"""How a service runs: settings, logs, health, serving, HTTP limits."""

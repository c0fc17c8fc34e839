"""Programs that measure a promise and print the figure."""

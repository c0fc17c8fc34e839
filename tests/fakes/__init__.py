"""Stand-ins for the four protocols (Clock, Store, Bus with Leases and Mail) that pass the suites of the real ones."""

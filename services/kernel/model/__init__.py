"""Words of the domain as pure values: ids, identity, envelopes, faults."""

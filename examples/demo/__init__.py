"""`make demo`: a fleet on a real API server, told by the real command line, from nothing to a repair."""

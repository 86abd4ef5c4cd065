"""`make bench`: how fast it is, beside what else does the work or what the server allows."""

"""Docker for the tests: a daemon, and the base image where no registry can be reached."""

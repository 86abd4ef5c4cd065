"""The commands that look at a cluster, and the two that pause: what they read, and what they do."""

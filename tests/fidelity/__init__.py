"""What we render against what the real flux command line renders."""

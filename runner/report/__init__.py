"""One value in, many views out: text for people, JSON and YAML for programs. Pure; nothing here writes."""

"""What a system is made of: patterns, operators, spaces."""

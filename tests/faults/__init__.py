"""The client behind a network that breaks at will."""

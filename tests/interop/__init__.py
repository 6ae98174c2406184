"""The same requests against servers that others wrote."""

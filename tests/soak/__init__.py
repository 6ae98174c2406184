"""Everything at once for as long as one likes: ``make soak MINUTES=n``; see `tests.soak.__main__`."""

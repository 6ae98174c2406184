"""CPU time of the client process, beside its peers: ``python -m tests.benchmarks`` or ``make bench``."""

"""Coverage-guided fuzzing of the engine, one target for each role; needs atheris, unlike the replay of the corpus."""

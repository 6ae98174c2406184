"""Coverage-guided fuzzing: a room of invariants for each target; needs atheris, unlike the replay of the corpus."""

"""The parts that robots are composed of, one module per kind."""

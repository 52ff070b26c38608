"""How often the judgement accuses clean float32 computation: ``python -m benchmarks.clean_tensors``."""

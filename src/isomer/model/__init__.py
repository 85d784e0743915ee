"""The network of the paper, its encoders and fusions, and its weights on disk."""

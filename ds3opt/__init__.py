"""ds3opt: certified compute allocation for large language models."""

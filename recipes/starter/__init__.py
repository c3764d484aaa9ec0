"""The recipe of the starter backbone; see README.md. Needs PyTorch, which the project does not."""

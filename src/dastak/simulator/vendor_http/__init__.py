"""The simulated carrier over HTTP, in the shapes that vendors speak."""

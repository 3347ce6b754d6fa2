"""Curves on a face: the head that ships, and the formats that carry its animation."""

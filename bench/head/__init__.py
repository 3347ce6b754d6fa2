"""Makes the head that ships; ``__main__`` says how."""

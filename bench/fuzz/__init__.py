"""Hostile input: good files are damaged, and phiz has to say so clearly or compute what is right."""

"""How well a face speaks: one code for students, artefacts and teachers. Figures: ``docs/evaluation.md``."""

from distill.evaluate.agreement import fit
from distill.evaluate.report import Report
from distill.evaluate.run import evaluate
from distill.evaluate.speech import Speech, from_labels, from_utterances
from distill.evaluate.subjects import Subject

__all__ = ["Report", "Speech", "Subject", "evaluate", "fit", "from_labels", "from_utterances"]

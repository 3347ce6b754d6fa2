"""The ML program of a package, evaluated by phiz's numpy evaluator: numerics without a Mac, and no speed.

The one runtime that needs phiz: it runs in the benchmark's own environment. coremltools writes a few operations that
phiz does not, or otherwise; they are here.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[3]))

OTHERS = {
    "expand_dims": lambda given: np.expand_dims(given["x"], tuple(np.ravel(given["axes"]))),
    "squeeze": lambda given: np.squeeze(given["x"], tuple(np.ravel(given["axes"])) if "axes" in given else None),
    "identity": lambda given: given["x"],
    "batch_norm": lambda given: normalise(**given),
}


def normalise(x, mean, variance, gamma=1.0, beta=0.0, epsilon=1e-5):
    shape = (1, -1) + (1,) * (x.ndim - 2)
    mean, variance, gamma, beta = (
        np.reshape(one, shape) if np.ndim(one) else one for one in (mean, variance, gamma, beta)
    )
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta


def version():
    return f"numpy {np.__version__}"


def load(path):
    from targets.coreml import arithmetic, run

    def evaluate(operation, given):
        if operation == "log":  # coremltools' epsilon is float32 where the rest is float16: there it is 0
            given = {name: value for name, value in given.items() if name != "epsilon"}
        return arithmetic.evaluate(operation, given)

    run.OPERATIONS = arithmetic.OPERATIONS = {**OTHERS, **arithmetic.OPERATIONS}
    run.evaluate = evaluate
    runner = run.load(path)
    (name,) = runner.inputs

    def call(window):
        return next(iter(runner.run({name: window}).values()))

    return call

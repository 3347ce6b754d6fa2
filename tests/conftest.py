"""Generated tests draw the same cases in every run, so that a failure is a change's and not a day's.

``pytest --hypothesis-profile=explore`` draws new ones.
"""

from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("repeat", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None)
settings.load_profile("repeat")


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Networks as small as a test's only wait for torch's threads, and for long on a busy machine."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)

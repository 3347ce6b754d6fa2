"""Generated tests draw the same cases in every run, so that a failure is a change's and not a day's.

``pytest --hypothesis-profile=explore`` draws new ones.
"""

from hypothesis import settings

settings.register_profile("repeat", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None)
settings.load_profile("repeat")

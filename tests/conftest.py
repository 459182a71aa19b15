"""Settings that every test shares."""
import os

from hypothesis import settings

pytest_plugins = ["shadowland.testing.plugin"]  # the fixture `network`

# No deadline: a shared machine makes any single example slow now and then. CI repeats the same examples every time.
settings.register_profile("quick", max_examples=50, deadline=None, derandomize="CI" in os.environ)
settings.register_profile("nightly", max_examples=10_000, deadline=None, database=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

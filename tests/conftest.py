"""Settings of all tests."""

from hypothesis import settings

# how long an example takes depends on the machine, and no test here is about time
settings.register_profile("lmmbench", deadline=None)
settings.load_profile("lmmbench")

"""Settings of all tests."""

from hypothesis import HealthCheck, settings

# A busy machine is not a failure: how long an example takes is no property of the code under test.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("default")

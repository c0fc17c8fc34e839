"""Suites that every implementation of a protocol passes, the real ones and the fakes of tests/fakes."""

import pytest

pytest.register_assert_rewrite(
    "tests.contract.store_suite",
    "tests.contract.store_time_suite",
    "tests.contract.bus_suite",
    "tests.contract.leases_suite",
)

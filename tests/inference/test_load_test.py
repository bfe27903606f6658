"""The short form of the load test: many clients, of whom some leave, and all slots come back."""

import pytest
from served import serving

from minikimi.inference.load_test import attack

pytestmark = pytest.mark.slow


def test_many_clients_at_once_leave_nothing_behind() -> None:
    with serving(slots=8) as server:
        report = attack(server.address, clients=64, seconds=3.0, leave_every=5)
        assert report.answered > 64 and report.left > 0 and not report.errors
        server.wait_until_free()
        server.engine.self_check()

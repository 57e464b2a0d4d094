"""Fixtures of tests with real worker processes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.queue_stack import Program, QueueStack, queue_stack


@pytest.fixture(scope="module")
def module_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueueStack]:
    with queue_stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture
def stack(module_stack: QueueStack) -> Iterator[QueueStack]:
    """The module's stack; what the test started ends with it."""
    with module_stack.stopping():
        yield module_stack


@pytest.fixture(scope="module")
def worker(module_stack: QueueStack) -> Iterator[Program]:
    """A worker of every queue, for tests that do it no harm."""
    with module_stack.stopping():
        yield module_stack.worker()

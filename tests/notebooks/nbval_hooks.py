"""A pytest plugin for nbval: what not to compare, because it holds paths or process ids."""


def pytest_collectstart(collector) -> None:
    if hasattr(collector, "skip_compare"):
        collector.skip_compare += ("stderr", "text/html", "application/javascript")

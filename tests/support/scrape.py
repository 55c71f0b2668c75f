"""What a worker reports to Prometheus, for tests to read."""

import socket
import urllib.request

from prometheus_client.parser import text_string_to_metric_families


class Scrape:
    """All samples of one scrape."""

    def __init__(self, port: int) -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            self.text: str = answer.read().decode()
        self.samples = [
            sample for family in text_string_to_metric_families(self.text) for sample in family.samples
        ]

    def __call__(self, name: str, **labels: str) -> float:
        """Return the sum of a metric over all labels that are not in `labels`."""
        found = [
            sample.value
            for sample in self.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        assert found, f"there is no {name} {labels}"
        return sum(found)

    def has(self, name: str) -> bool:
        return any(sample.name == name for sample in self.samples)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port

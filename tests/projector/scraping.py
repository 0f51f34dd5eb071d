"""Metrics as Prometheus reads them: over HTTP, in its text format."""

import urllib.request

from prometheus_client.parser import text_string_to_metric_families

Scrape = dict[str, dict[str, float]]


def scraped(port: int, projection: str, prefix: str) -> Scrape:
    """Return each metric's values by their labels beside the projection; names lose the prefix."""
    url = f"http://127.0.0.1:{port}/metrics"
    with urllib.request.urlopen(url, timeout=5) as answer:
        text = answer.read().decode()
    found: Scrape = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = dict(sample.labels)
            assert labels.pop("projection") == projection
            name = sample.name.removeprefix(prefix)
            found.setdefault(name, {})[",".join(labels.values())] = sample.value
    return found

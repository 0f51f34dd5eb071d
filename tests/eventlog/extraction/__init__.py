"""Tests of what an app holds: found, described, judged, written and imported."""

"""One report, four ways: for a terminal, as JSON, as JUnit XML, and as one HTML file.

JSON is the `Report` itself. What the others show is in `compose.report.words`.
"""

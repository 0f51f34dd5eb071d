"""What an app holds: found, described, judged, written to files and recorded from them."""

"""Tests of targets, savepoints and replay."""

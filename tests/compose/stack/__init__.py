"""Tests of the embedded stack: real servers, real jars, real crashes."""

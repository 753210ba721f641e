"""Tests of the rig's parts: `python3 -m unittest discover -s benches/compare/tests -t benches/compare`."""

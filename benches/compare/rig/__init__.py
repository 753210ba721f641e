"""The parts of the comparison rig; `command` puts them together."""

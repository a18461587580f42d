"""An invented universe, written in the formats of the surveys."""

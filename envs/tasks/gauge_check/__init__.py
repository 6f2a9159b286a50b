"""GaugeCheck: read the gauges that are named, and press OK or FAULT for each."""

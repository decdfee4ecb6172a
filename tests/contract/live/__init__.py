"""The live comparison: one scenario, played on the reference server and on ours, reply by reply."""

"""The status of each stage, and results with statistics: plain objects, computed from a
plan and the artifacts. `report.drawing` shows them on a terminal."""

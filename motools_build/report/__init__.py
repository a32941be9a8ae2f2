"""What is true of each stage, and what the results come to: plain objects, computed
from a plan and the artifacts. `report.drawing` shows them on a terminal."""

"""From a setting to its stages: pure, and without a backend's effects."""

"""From a setting to its stages and keys, without any effect of a backend."""

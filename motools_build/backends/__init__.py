"""Who performs effects. A backend knows neither the store, nor the plan, nor doit."""

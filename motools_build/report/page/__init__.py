"""The page of `doit report`: a setting's results as one HTML file."""

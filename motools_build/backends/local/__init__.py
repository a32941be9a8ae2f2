"""The backend `local`: models of Hugging Face, trained and served on this machine."""

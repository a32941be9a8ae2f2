"""Uploading an exported model to the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from motools_build.errors import InputError, MissingExtra


def push(folder: Path, repository: str) -> str:
    """Upload a folder to a repository of the hub, which is made, and private, if it is
    not there. Returns the URL of the commit.

    The login is that of huggingface_hub. Raises MissingExtra if it is not installed,
    and InputError if the hub refuses. The folder stays as it is.
    """
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise MissingExtra(
            "--push-to-hub needs huggingface_hub: pip install huggingface_hub"
        ) from error
    hub = HfApi()
    try:
        hub.create_repo(repository, private=True, exist_ok=True)
        done = hub.upload_folder(repo_id=repository, folder_path=str(folder))
    except Exception as error:
        raise InputError(
            f"--push-to-hub {repository}: {error}\n{folder} is written; to upload it: "
            f"hf upload {repository} {folder}"
        ) from error
    return str(done.commit_url)

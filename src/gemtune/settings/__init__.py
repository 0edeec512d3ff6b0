"""What a client is set to: by arguments, then by the environment, each setting with the place it was taken from.

``resolving`` decides, ``addresses`` knows where a credential may go, ``secrets`` keeps it from being shown. Nothing in
here waits, reads a file or opens a connection.
"""

from __future__ import annotations

from gemtune.settings.resolving import DEFAULT_BASE_URL as DEFAULT_BASE_URL
from gemtune.settings.resolving import Setting as Setting
from gemtune.settings.resolving import Settings as Settings
from gemtune.settings.resolving import given as given
from gemtune.settings.resolving import resolve as resolve
from gemtune.settings.secrets import Secret as Secret
from gemtune.settings.secrets import odd_secret as odd_secret

__all__ = ("DEFAULT_BASE_URL", "Secret", "Setting", "Settings", "given", "odd_secret", "resolve")

"""A faithful local Gemini API, Vertex AI and Cloud Storage, for tuning without an account. Nothing in it is learned.

In process ``create_app()`` is an ASGI application; on a socket ``python -m gemtune.emulator`` or
``running_emulator()`` serves it. It shares no code with the SDK.
"""

from gemtune.emulator.app import Emulator, create_app
from gemtune.emulator.serve import RunningEmulator, running_emulator
from gemtune.emulator.trouble.faults import Fault
from gemtune.emulator.trouble.quotas import ConcurrencyCap, Latency, Load, MinuteWindow, PerDay, TokenBucket
from gemtune.emulator.world.answers import Answer, Prompt
from gemtune.emulator.world.auth import ApiKey, Auth, Token
from gemtune.emulator.world.base_models import BASE_MODELS, BaseModel
from gemtune.emulator.world.batches.lines import BatchFate
from gemtune.emulator.world.clock import Clock, RealClock, ScaledClock, SteppedClock
from gemtune.emulator.world.settings import Settings
from gemtune.emulator.world.tuning import JobFate

__all__ = [
    "BASE_MODELS",
    "Answer",
    "ApiKey",
    "Auth",
    "BaseModel",
    "BatchFate",
    "Clock",
    "ConcurrencyCap",
    "Emulator",
    "Fault",
    "JobFate",
    "Latency",
    "Load",
    "MinuteWindow",
    "PerDay",
    "Prompt",
    "RealClock",
    "RunningEmulator",
    "ScaledClock",
    "Settings",
    "SteppedClock",
    "Token",
    "TokenBucket",
    "create_app",
    "running_emulator",
]

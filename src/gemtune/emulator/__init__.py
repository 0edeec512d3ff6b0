"""A faithful local Gemini API for tuning: for demonstrations, tests and benchmarks. Nothing in it is learned.

In process ``create_app()`` is an ASGI application; on a socket ``python -m gemtune.emulator`` or
``running_emulator()`` serves it. It shares no code with the SDK.
"""

from .answers import Answer, Prompt
from .app import Emulator, create_app
from .auth import ApiKey, Auth, Token
from .base_models import BASE_MODELS, BaseModel
from .clock import Clock, RealClock, ScaledClock, SteppedClock
from .faults import Fault
from .quotas import ConcurrencyCap, Latency, Load, MinuteWindow, PerDay, TokenBucket
from .serve import RunningEmulator, running_emulator
from .settings import Settings
from .tuning import JobFate

__all__ = [
    "BASE_MODELS",
    "Answer",
    "ApiKey",
    "Auth",
    "BaseModel",
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

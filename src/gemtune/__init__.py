"""The asyncio SDK for tuning Gemini models and putting the tuned models to work."""

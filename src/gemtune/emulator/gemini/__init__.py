"""The Gemini API's methods: one handler for each, and the table of routes."""

"""The messages of Vertex AI, as tables, and a schema for each version made of them."""

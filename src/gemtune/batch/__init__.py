"""The batch inferencer: prompts in, answers out, as fast as the quota allows."""

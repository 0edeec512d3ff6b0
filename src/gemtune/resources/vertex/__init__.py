"""What is Vertex AI's own among the resources: tuning jobs, each created exactly once; models, endpoints, curves.

The same rules hold as for the other resources: they make the calls of ``protocol.vertex`` through a caller, may wait,
and know neither jobs' handles nor watchers.
"""

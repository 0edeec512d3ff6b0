"""The seam between tuning jobs and the service that runs them.

``service.py`` holds the interface: what a service must be able to say about its jobs. Each service is one file beside
it, and the only place that knows which request finds out how a job is, what its names look like and how its words for
a state read. What a look brings is an observation (``gemtune.story``), which knows no service. This wing may import
the resources and everything below them, and neither the client nor the watcher, which are handed a service. It may
wait, because it sends requests.
"""

"""What is known of one tuning job, from the first look to the last event.

Pure values and decisions: what a look brought, the merged snapshots, the events that follow from them, how the job
ended, when to look next, and the cursor that says where a reader stopped. Nothing here knows a service, an HTTP
library or a clock: time is an argument. It may import events, types and errors. Nobody in here may wait.
"""

"""What is known of one tuning job, from the first look to the last event.

Pure values and decisions: what a look brought (``observation``), which of its snapshots are new (``merge``, kept in
``snapshots``), the events that follow (``history``, with its ledgers ``facts`` and ``ending``), when to look next
(``schedule``), and the ``cursor`` that says where a reader stopped. Nothing here knows a service, an HTTP library or a
clock: time is an argument. It may import events, types and errors. Nobody in here may wait.
"""

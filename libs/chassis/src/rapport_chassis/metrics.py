"""Prometheus metrics of the event path; names follow Prometheus' conventions (base units, `_total`)."""

from prometheus_client import Counter, Gauge, Histogram

FLUSH_SIZE = Histogram(
    "rapport_commit_write_sets",
    "Write-sets that shared one transaction",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024),
)
COMMIT_RETRIES = Counter("rapport_commit_retries_total", "Transactions tried again after a transient error")
UNSENT = Gauge("rapport_journal_unsent_events", "Events committed and not yet sent (counted up to 100,000)")
UNSENT_AGE = Gauge("rapport_journal_unsent_age_seconds", "Age of the oldest unsent event")
SENT = Counter("rapport_relay_sent_events_total", "Events sent to Kafka", ["topic"])
RESENT = Counter("rapport_relay_resent_events_total", "Events sent again with the numbers they had", ["topic"])
RELAY_FAILURES = Counter("rapport_relay_failures_total", "Producers thrown away after a failure")
APPLIED = Counter("rapport_consumer_applied_events_total", "Events applied", ["topic"])
DROPPED = Counter("rapport_consumer_duplicate_events_total", "Events dropped by their number", ["topic"])
SKIPPED = Counter("rapport_consumer_skipped_events_total", "Events of families that are not listed", ["topic"])
NUMBER = Gauge("rapport_consumer_applied_number", "Last number applied", ["topic", "partition"])
LAG = Gauge("rapport_consumer_lag_events", "Records in the log behind the cursor", ["topic", "partition"])
GAPS = Gauge("rapport_consumer_gaps", "Partitions that wait for a missing number")
DEAD_LETTERS = Gauge("rapport_dead_letters", "Dead letters kept", ["state"])
BATCH_SIZE = Histogram(
    "rapport_consumer_batch_events",
    "Events applied in one transaction",
    buckets=(1, 4, 16, 64, 256, 1024, 4096),
)
REFUSED = Counter("rapport_limit_refusals_total", "Requests, rows and messages beyond a rate limit", ["rule"])

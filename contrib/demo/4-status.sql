SELECT name, state, lag_bytes, transactions, events, bytes, dead_letters, brokers
FROM mesh_outbox.publishers;

-- The ledger: what was published, and at which offsets.
SELECT first_lsn, last_lsn, transactions, events, offsets FROM mesh_outbox.batches;

SELECT name, state, lag_bytes, transactions, events, bytes, dead_letters, brokers
FROM mesh_outbox.publishers;

-- The ledger's newest row: what was published, and at which offsets.
SELECT first_lsn, last_lsn, transactions, events, offsets
FROM mesh_outbox.batches ORDER BY last_lsn DESC LIMIT 1;

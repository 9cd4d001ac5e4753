/* src/publisher/explain.sql: what an INSERT would do, without doing it */

CREATE FUNCTION mesh_outbox.key_partition(key text, partitions int) RETURNS int
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'mo_explain_partition';
COMMENT ON FUNCTION mesh_outbox.key_partition(text, int) IS
    'the partition of a topic that events with the key go to, as Kafka''s Java clients compute it';

CREATE FUNCTION mesh_outbox.explain_event(
    outbox regclass, event_type text, payload jsonb, major_version int DEFAULT NULL,
    headers jsonb DEFAULT NULL, event_time timestamptz DEFAULT NULL,
    OUT item text, OUT value text)
    RETURNS SETOF record
    LANGUAGE mesh_outbox_plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target mesh_outbox.outboxes;
    major int;
    majors int;
    contract mesh_outbox.contract;
    key text;
BEGIN
    SELECT * INTO target FROM mesh_outbox.outboxes o WHERE o.outbox = explain_event.outbox;
    IF target.outbox_id IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format('table %s is not an outbox', explain_event.outbox),
            HINT = 'See the view mesh_outbox.outboxes.';
    END IF;
    -- as the check chooses: what the row says, the pinned major, or the only one
    major := coalesce(major_version, (target.pinned ->> event_type)::int);
    SELECT count(*), coalesce(major, min(split_part(c.version, '.', 1)::int)) INTO majors, major
    FROM mesh_outbox.contracts c
    WHERE c.product = target.product AND c.event_type = explain_event.event_type AND c.in_force
      AND (major IS NULL OR split_part(c.version, '.', 1)::int = major);
    IF majors <> 1 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = format(CASE WHEN majors = 0 THEN 'no contract of event type "%s" of product "%s" is in force'
                                  ELSE 'event type "%s" of product "%s" has several major versions in force' END,
                             event_type, target.product),
            HINT = CASE WHEN majors = 0 THEN 'See the view mesh_outbox.contracts.'
                        ELSE 'Say which with major_version, as an INSERT would have to.' END;
    END IF;
    contract := mesh_outbox.contract_in_force(target.product, event_type, major);
    key := mesh_outbox.contract_key(contract.contract_id, payload);

    RETURN QUERY VALUES
        ('contract', format('%s/%s %s', contract.product, contract.event_type, mesh_outbox.version_text(contract))),
        ('enforcement', contract.enforcement),
        ('publisher', target.publisher),
        ('topic', contract.topic),
        ('key', key),
        ('partition', mesh_outbox.key_partition(key, contract.partitions)::text),
        ('header content-type', CASE contract.content_mode WHEN 'structured'
             THEN 'application/cloudevents+json; charset=UTF-8' ELSE 'application/json' END);
    IF contract.content_mode = 'binary' THEN
        RETURN QUERY VALUES
            ('header ce_id', '(the row''s event_id)'),
            ('header ce_type', contract.ce_type);
        IF contract.header_set <> 'minimal' THEN
            RETURN QUERY VALUES
                ('header ce_specversion', '1.0'),
                ('header ce_source', contract.ce_source),
                ('header ce_time', '(the row''s event_time)'),
                ('header ce_dataschema', contract.ce_dataschema),
                ('header ce_sequence', '(given at commit)');
        END IF;
        IF contract.header_set = 'full' THEN
            RETURN QUERY VALUES
                ('header ce_subject', key),
                ('header ce_partitionkey', key),
                ('header ce_recordedtime', '(the row''s created_at)');
        END IF;
    END IF;
    IF jsonb_typeof(headers) = 'object' THEN
        RETURN QUERY SELECT 'header ' || h.key, h.value FROM jsonb_each_text(headers) h;
    END IF;
    RETURN QUERY
        SELECT 'violation', concat('at ', mesh_outbox.violation_place(v.instance_pointer, v.keyword), ': ', v.message, ', found ' || v.found)
        FROM mesh_outbox.event_violations(contract, payload, headers, NULL, event_time, now(), as_enforced => false) v;
END
$$;
COMMENT ON FUNCTION mesh_outbox.explain_event(regclass, text, jsonb, int, jsonb, timestamptz) IS
    'what an INSERT of the event would do: contract, key, partition, headers and all violations, of its payload as well as of the headers and the event time that the row brings along; nothing is inserted';

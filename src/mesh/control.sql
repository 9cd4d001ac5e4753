/* src/mesh/control.sql: contract changes, announced within the topics */

-- A mailbox: what is written here is deleted in the same statement's breath,
-- for it is meant for the WAL, where publishers find it in its place between
-- the events before and after.  A logical message would do the same, but
-- everybody may write those.
CREATE TABLE mesh_outbox.control_event (
    event_id     uuid PRIMARY KEY,
    publisher_id int NOT NULL,
    -- whose topic
    contract_id  bigint NOT NULL,
    partition    int,
    event_type   text NOT NULL,
    event_time   timestamptz NOT NULL,
    created_at   timestamptz NOT NULL,
    headers      jsonb,
    payload      jsonb NOT NULL,
    -- of a dead letter that is tried again: an event as its outbox has it
    outbox_id      int,
    key            text,
    correlation_id text,
    causation_id   text,
    traceparent    text,
    CHECK (outbox_id IS NOT NULL OR partition IS NOT NULL AND headers IS NOT NULL)
);
COMMENT ON TABLE mesh_outbox.control_event IS
    'control events, and events that are tried again, on their way to the publishers; always empty';

CREATE FUNCTION mesh_outbox.wake_publisher(publisher_id int) RETURNS void
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'mo_wake_publisher';
COMMENT ON FUNCTION mesh_outbox.wake_publisher(int) IS
    'has a publisher look at the WAL when this transaction commits';
REVOKE EXECUTE ON FUNCTION mesh_outbox.wake_publisher(int) FROM PUBLIC;

-- One for each partition of the major's topic, by every publisher that serves
-- the product; of the first version of a major also in the topics of the other
-- majors, which says where the new one is.  The activation keeps INSERTs
-- out until it has committed, so its commit, and with it the control event,
-- lies between the last event of the one version and the first of the other.
-- (A reversion waits for INSERTs in flight, too, but not long: it says so when
-- they may follow it.)
CREATE FUNCTION mesh_outbox.announce_version(now_in_force mesh_outbox.contract, before mesh_outbox.contract)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    payload jsonb := jsonb_strip_nulls(jsonb_build_object(
        'product', now_in_force.product, 'event_type', now_in_force.event_type,
        'version', mesh_outbox.version_text(now_in_force),
        'previous_version', mesh_outbox.version_text(before),
        'ce_type', now_in_force.ce_type, 'ce_dataschema', now_in_force.ce_dataschema,
        'topic', now_in_force.topic));
BEGIN
    WITH target AS (
        SELECT DISTINCT ON (c.topic) c.contract_id, c.partitions
        FROM mesh_outbox.contract c
        WHERE c.product = now_in_force.product AND c.event_type = now_in_force.event_type
          AND c.status IN ('active', 'deprecated')
          AND (c.major = now_in_force.major OR before.contract_id IS NULL)
        ORDER BY c.topic, c.major DESC, c.minor DESC, c.patch DESC)
    INSERT INTO mesh_outbox.control_event
        (event_id, publisher_id, contract_id, partition, event_type, event_time, created_at, headers, payload)
    SELECT gen_random_uuid(), p.publisher_id, t.contract_id, n, 'mesh_outbox.ContractActivated.v1',
           now(), clock_timestamp(), '{"mesh_outbox_control": "contract-activated"}', payload
    FROM mesh_outbox.publisher p, target t, generate_series(0, t.partitions - 1) n
    WHERE p.name IN (SELECT o.publisher FROM mesh_outbox.outbox o WHERE o.product = now_in_force.product)
    ORDER BY p.publisher_id, t.contract_id, n;
    PERFORM mesh_outbox.wake_publisher(c.publisher_id) FROM mesh_outbox.control_event c;
    DELETE FROM mesh_outbox.control_event;
END
$$;
COMMENT ON FUNCTION mesh_outbox.announce_version(mesh_outbox.contract, mesh_outbox.contract) IS
    'writes the control events that say which version is in force from here on';
REVOKE EXECUTE ON FUNCTION mesh_outbox.announce_version(mesh_outbox.contract, mesh_outbox.contract) FROM PUBLIC;

-- Whatever function changes a status: if another version of the major is in
-- force now, consumers are told where.
CREATE FUNCTION mesh_outbox.notice_version() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    other mesh_outbox.contract;
    was boolean;
    is_now boolean;
BEGIN
    SELECT c.* INTO other FROM mesh_outbox.contract c
    WHERE c.product = NEW.product AND c.event_type = NEW.event_type AND c.major = NEW.major
      AND c.contract_id <> NEW.contract_id AND c.status IN ('active', 'deprecated')
    ORDER BY c.minor DESC, c.patch DESC LIMIT 1;
    was := OLD.status IN ('active', 'deprecated')
           AND coalesce((NEW.minor, NEW.patch) > (other.minor, other.patch), true);
    is_now := NEW.status IN ('active', 'deprecated')
              AND coalesce((NEW.minor, NEW.patch) > (other.minor, other.patch), true);
    IF is_now AND NOT was THEN
        PERFORM mesh_outbox.announce_version(NEW, other);
    ELSIF was AND NOT is_now AND other.contract_id IS NOT NULL THEN
        PERFORM mesh_outbox.announce_version(other, NEW);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION mesh_outbox.notice_version() IS
    'has a change of the version in force announced in the topics';
REVOKE EXECUTE ON FUNCTION mesh_outbox.notice_version() FROM PUBLIC;

CREATE TRIGGER notice_version AFTER UPDATE OF status ON mesh_outbox.contract
    FOR EACH ROW EXECUTE FUNCTION mesh_outbox.notice_version();
ALTER TABLE mesh_outbox.contract ENABLE ALWAYS TRIGGER notice_version;

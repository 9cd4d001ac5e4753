/* src/mesh/maturity.sql: how well promises and rules are kept, by product and by domain */

-- Our event ids begin with the milliseconds of their making, so the primary
-- key finds the events of a period.
CREATE FUNCTION mesh_outbox.event_id_at(at timestamptz) RETURNS uuid
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
    RETURN (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid;
COMMENT ON FUNCTION mesh_outbox.event_id_at(timestamptz) IS 'the least event id that is made at or after a time';

-- The query gets the outbox's columns under our names, and the events of a
-- period only: since $1, which event ids have from $2 on.
CREATE FUNCTION mesh_outbox.recent_events_query(outbox mesh_outbox.outbox) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    RETURN format('SELECT %s FROM %s WHERE %I >= $2 AND %I >= $1',
                  (SELECT string_agg(format('%I AS %I', coalesce((outbox).columns ->> c.name, c.name), c.name), ', ')
                   FROM mesh_outbox.outbox_columns() c),
                  (outbox).relation::text,
                  coalesce((outbox).columns ->> 'event_id', 'event_id'),
                  coalesce((outbox).columns ->> 'created_at', 'created_at'));
COMMENT ON FUNCTION mesh_outbox.recent_events_query(mesh_outbox.outbox) IS
    'selects an outbox''s events since $1, which must not be in the far past, with $2 = event_id_at($1)';
REVOKE EXECUTE ON FUNCTION mesh_outbox.recent_events_query(mesh_outbox.outbox) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.require_period(period interval) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF period IS NULL OR period <= interval '0' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'period must be an interval longer than nothing',
            HINT = 'For example interval ''1 day''.';
    END IF;
END
$$;
COMMENT ON FUNCTION mesh_outbox.require_period(interval) IS 'error if a period is none';

-- ---------------------------------------------------------------------
-- Products: what was promised, and what was found
-- ---------------------------------------------------------------------

CREATE FUNCTION mesh_outbox.measure_events(product text, since timestamptz, paths text[],
                                           OUT events bigint, OUT delay interval, OUT absent bigint[])
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    outbox mesh_outbox.outbox;
    part record;
    counts text;
BEGIN
    events := 0;
    absent := array_fill(0::bigint, ARRAY[cardinality(paths)]);
    SELECT coalesce(string_agg(format('count(*) FILTER (WHERE coalesce(jsonb_typeof(payload #> %L), ''null'') = ''null'')',
                                      string_to_array(substr(p.path, 2), '/')), ', ' ORDER BY p.n), '')
    INTO counts FROM unnest(paths) WITH ORDINALITY p (path, n);
    FOR outbox IN SELECT o.* FROM mesh_outbox.outbox o JOIN pg_class c ON c.oid = o.relation
                  WHERE o.product = measure_events.product LOOP
        SELECT e.* INTO part
        FROM mesh_outbox.read_as(
            mesh_outbox.reader_of(outbox),
            format('SELECT count(*), max(created_at - event_time), ARRAY[%s]::bigint[] FROM (%s) e',
                   counts, mesh_outbox.recent_events_query(outbox)),
            since, mesh_outbox.event_id_at(since)) AS e (events bigint, delay interval, absent bigint[]);
        events := events + part.events;
        delay := greatest(delay, part.delay);
        absent := ARRAY(SELECT a + b FROM unnest(absent, part.absent) u (a, b));
    END LOOP;
END
$$;
COMMENT ON FUNCTION mesh_outbox.measure_events(text, timestamptz, text[]) IS
    'of a product''s stored events since a time: how many, the longest delay from event time to insertion, and how many lack a value at each path';
REVOKE EXECUTE ON FUNCTION mesh_outbox.measure_events(text, timestamptz, text[]) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.publish_delay(product text, since timestamptz) RETURNS interval
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    RETURN (SELECT max(b.published_at - b.first_commit)
            FROM mesh_outbox.batch b JOIN mesh_outbox.publisher p USING (publisher_id)
            WHERE b.published_at >= since
              AND p.name IN (SELECT o.publisher FROM mesh_outbox.outbox o WHERE o.product = publish_delay.product));
COMMENT ON FUNCTION mesh_outbox.publish_delay(text, timestamptz) IS
    'the longest time from a commit to Kafka that the ledger of a product''s publishers shows';
REVOKE EXECUTE ON FUNCTION mesh_outbox.publish_delay(text, timestamptz) FROM PUBLIC;

-- From when on the oldest event of a product waits that its publisher has not
-- dealt with: later than the last commit that is published, and of a
-- transaction that its slot has not left behind.
CREATE FUNCTION mesh_outbox.waiting_since(product text, publisher mesh_outbox.publisher) RETURNS timestamptz
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    published timestamptz;
    horizon xid;
    outbox mesh_outbox.outbox;
    oldest timestamptz;
BEGIN
    IF mesh_outbox.publishes_all(publisher) THEN
        RETURN NULL;
    END IF;
    SELECT greatest(timestamptz '2000-01-01 00:00+00' + g.marker_time * interval '1 microsecond', s.last_commit_time), r.catalog_xmin
    INTO published, horizon
    FROM mesh_outbox.progress g
    LEFT JOIN mesh_outbox.publisher_slots() s USING (publisher_id)
    LEFT JOIN pg_replication_slots r ON r.slot_name = g.slot_name AND r.datoid = mesh_outbox.this_database()
    WHERE g.publisher_id = publisher.publisher_id;
    FOR outbox IN SELECT o.* FROM mesh_outbox.outbox o JOIN pg_class c ON c.oid = o.relation
                  WHERE o.product = waiting_since.product AND o.publisher = (waiting_since.publisher).name LOOP
        SELECT least(oldest, e.created_at) INTO oldest
        FROM mesh_outbox.read_as(
            mesh_outbox.reader_of(outbox),
            format('SELECT min(%1$I) FROM %2$s WHERE %1$I > $1 AND %3$I >= $2 AND ($3 IS NULL OR age(xmin) <= age($3))',
                   coalesce(outbox.columns ->> 'created_at', 'created_at'), outbox.relation,
                   coalesce(outbox.columns ->> 'event_id', 'event_id')),
            published, mesh_outbox.event_id_at(published), horizon) AS e (created_at timestamptz);
    END LOOP;
    RETURN oldest;
END
$$;
COMMENT ON FUNCTION mesh_outbox.waiting_since(text, mesh_outbox.publisher) IS
    'since when an event of a product waits for its publisher; NULL: none does';
REVOKE EXECUTE ON FUNCTION mesh_outbox.waiting_since(text, mesh_outbox.publisher) FROM PUBLIC;

-- Down is when a committed event waits for Kafka longer than is allowed.  An
-- outage that has ended is in the ledger, what the ledger no longer has is not
-- known; one that lasts is seen in the outbox.
CREATE FUNCTION mesh_outbox.publish_availability(product text, since timestamptz, allowed interval) RETURNS numeric
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
    RETURN (WITH publisher AS (
                SELECT p.publisher_id, p AS publisher FROM mesh_outbox.publisher p
                WHERE p.name IN (SELECT o.publisher FROM mesh_outbox.outbox o WHERE o.product = publish_availability.product)),
            wait (since, until) AS (
                SELECT b.first_commit, least(b.published_at, now())
                FROM mesh_outbox.batch b JOIN publisher USING (publisher_id) WHERE b.published_at >= publish_availability.since
                UNION ALL
                SELECT w.since, now()
                FROM publisher p, mesh_outbox.waiting_since(publish_availability.product, p.publisher) w (since)
                WHERE w.since IS NOT NULL)
            SELECT round(100 * (1 - coalesce(sum(extract(epoch FROM upper(d) - lower(d))), 0)
                                    / extract(epoch FROM now() - publish_availability.since)), 4)
            FROM (SELECT range_agg(tstzrange(greatest(w.since + allowed, publish_availability.since), w.until))
                         FILTER (WHERE w.until > greatest(w.since + allowed, publish_availability.since)) AS down, count(*) AS waits
                  FROM wait w) u
            LEFT JOIN LATERAL unnest(u.down) d ON true
            HAVING max(u.waits) > 0);
COMMENT ON FUNCTION mesh_outbox.publish_availability(text, timestamptz, interval) IS
    'per cent of the time since then in which no event of a product''s publishers waited for Kafka longer than is allowed, until now; NULL: the ledger has nothing, and nothing waits';
REVOKE EXECUTE ON FUNCTION mesh_outbox.publish_availability(text, timestamptz, interval) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.measure_product(product text, period interval DEFAULT '1 day')
    RETURNS TABLE (promise text, promised text, found text, kept boolean)
    LANGUAGE mesh_outbox_plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    p mesh_outbox.product := mesh_outbox.find_product(product);
    since timestamptz;
    paths text[] := ARRAY(SELECT k FROM jsonb_object_keys(p.quality -> 'null_rate') k ORDER BY k);
    measured record;
    delay interval;
BEGIN
    PERFORM mesh_outbox.require_domain(p.domain, format('measure product "%s"', product));
    PERFORM mesh_outbox.require_period(period);
    since := now() - period;
    SELECT * INTO measured FROM mesh_outbox.measure_events(p.name, since, paths);
    delay := mesh_outbox.publish_delay(p.name, since);
    RETURN QUERY
    SELECT 'latency', p.latency::text, delay::text, delay <= p.latency WHERE p.latency IS NOT NULL
    UNION ALL
    SELECT 'freshness', p.freshness::text, (measured.delay + delay)::text, measured.delay + delay <= p.freshness
    WHERE p.freshness IS NOT NULL
    UNION ALL
    SELECT 'availability', p.availability::text, a.found::text, a.found >= p.availability
    FROM (SELECT mesh_outbox.publish_availability(p.name, since, coalesce(p.latency, interval '1 min')) AS found) a
    WHERE p.availability IS NOT NULL
    UNION ALL
    SELECT 'events per day', p.quality ->> 'events_per_day', round(measured.events * rate.per_day)::text,
           measured.events * rate.per_day >= (p.quality ->> 'events_per_day')::numeric
    FROM (SELECT 86400 / extract(epoch FROM period) AS per_day) rate
    WHERE p.quality ? 'events_per_day'
    UNION ALL
    SELECT 'null rate at ' || a.path, p.quality #>> ARRAY['null_rate', a.path],
           round(a.absent::numeric / nullif(measured.events, 0), 4)::text,
           a.absent::numeric / nullif(measured.events, 0) <= (p.quality #>> ARRAY['null_rate', a.path])::numeric
    FROM unnest(paths, measured.absent) a (path, absent);
END
$$;
COMMENT ON FUNCTION mesh_outbox.measure_product(text, interval) IS
    'what a product promises (alter_product), and what the stored events and the ledger of the last period show; kept NULL: nothing to measure by. Available is a product while no committed event waits for Kafka longer than its latency (1 minute where none is promised), by the account of the ledger and of what waits now; whether consumers reach the brokers is not known here. Reads the events of the period; for the product''s owner';

-- ---------------------------------------------------------------------
-- Domains
-- ---------------------------------------------------------------------

CREATE FUNCTION mesh_outbox.count_enforced(domain text, since timestamptz, OUT events bigint, OUT enforced bigint)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    outbox mesh_outbox.outbox;
    part record;
BEGIN
    events := 0;
    enforced := 0;
    FOR outbox IN SELECT o.* FROM mesh_outbox.outbox o JOIN mesh_outbox.product p ON p.name = o.product
                  JOIN pg_class c ON c.oid = o.relation
                  WHERE p.domain = count_enforced.domain LOOP
        SELECT coalesce(sum(e.n), 0) AS events,
               coalesce(sum(e.n * c.rollout / 100) FILTER (WHERE c.enforcement = 'enforce'), 0) AS enforced INTO part
        FROM mesh_outbox.read_as(
            mesh_outbox.reader_of(outbox),
            format('SELECT abs(contract_id), count(*) FROM (%s) e GROUP BY 1', mesh_outbox.recent_events_query(outbox)),
            since, mesh_outbox.event_id_at(since)) AS e (contract_id bigint, n bigint)
        JOIN mesh_outbox.contract c USING (contract_id);
        events := events + part.events;
        enforced := enforced + part.enforced;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mesh_outbox.count_enforced(text, timestamptz) IS
    'a domain''s stored events since a time, and those of contracts that are enforced today';
REVOKE EXECUTE ON FUNCTION mesh_outbox.count_enforced(text, timestamptz) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.maturity(period interval DEFAULT '7 days')
    RETURNS TABLE (domain text, products bigint, unowned bigint, unpromised bigint, contracts_in_force bigint,
                   contracts_enforced bigint, events bigint, enforced_share numeric, violations numeric,
                   dead_letters bigint, policy_findings bigint, time_to_activate interval, objections bigint,
                   open_objections bigint, overdue_reviews bigint, overdue_sunsets bigint, incidents bigint)
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp
    SET jit = off AS $$
#variable_conflict use_column
DECLARE
    everything boolean := mesh_outbox.may_see_all();
BEGIN
    PERFORM mesh_outbox.require_period(period);
    RETURN QUERY
    SELECT d.name, p.n, p.unowned, p.unpromised, c.in_force, c.enforced, e.events,
           round(e.enforced::numeric / nullif(e.events, 0), 3), v.n, l.n, f.n, a.usual,
           o.n, o.open, r.n, c.overdue, i.n
    FROM mesh_outbox.domain d
    CROSS JOIN LATERAL (
        SELECT count(*) AS n,
               count(*) FILTER (WHERE NOT EXISTS (SELECT FROM mesh_outbox.duty y WHERE y.duty = 'accountable'
                                                  AND (y.product = p.name OR y.domain = d.name))) AS unowned,
               count(*) FILTER (WHERE coalesce(p.latency, p.freshness) IS NULL AND p.availability IS NULL
                                OR p.retention IS NULL) AS unpromised
        FROM mesh_outbox.product p WHERE p.domain = d.name AND p.status <> 'retired') p
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE c.in_force) AS in_force,
               count(*) FILTER (WHERE c.in_force AND c.enforcement = 'enforce') AS enforced,
               count(*) FILTER (WHERE c.status = 'deprecated' AND c.sunset_at < mesh_outbox.present()) AS overdue
        FROM mesh_outbox.contracts c JOIN mesh_outbox.product q ON q.name = c.product WHERE q.domain = d.name) c
    LEFT JOIN LATERAL mesh_outbox.count_enforced(d.name, now() - period) e
        ON everything OR d.name IN (SELECT mesh_outbox.watched_domains())
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(v.refused + v.quarantined + v.observed), 0) AS n
        FROM mesh_outbox.violations v JOIN mesh_outbox.product q ON q.name = v.product WHERE q.domain = d.name) v
    CROSS JOIN LATERAL (
        SELECT count(*) AS n FROM mesh_outbox.dead_letter l JOIN mesh_outbox.outbox x USING (outbox_id)
        JOIN mesh_outbox.product q ON q.name = x.product WHERE q.domain = d.name) l
    CROSS JOIN LATERAL (
        SELECT count(*) AS n
        FROM mesh_outbox.finding f JOIN mesh_outbox.contracts k USING (contract_id)
        JOIN mesh_outbox.product q ON q.name = k.product
        WHERE k.in_force AND f.rule LIKE 'policy %' AND q.domain = d.name) f
    CROSS JOIN LATERAL (
        SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY k.activated_at - k.created_at) AS usual
        FROM mesh_outbox.contract k JOIN mesh_outbox.product q ON q.name = k.product
        WHERE k.activated_at IS NOT NULL AND q.domain = d.name) a
    CROSS JOIN LATERAL (
        SELECT count(*) AS n,
               count(*) FILTER (WHERE k.status IN ('proposed', 'deprecated') AND n.overridden_at IS NULL) AS open
        FROM mesh_outbox.notification n JOIN mesh_outbox.contract k USING (contract_id)
        JOIN mesh_outbox.product q ON q.name = k.product
        WHERE n.objection IS NOT NULL AND q.domain = d.name) o
    CROSS JOIN LATERAL (
        SELECT count(*) AS n FROM mesh_outbox.review r JOIN mesh_outbox.product q ON q.name = r.product
        WHERE r.due < mesh_outbox.present()::date AND q.domain = d.name) r
    CROSS JOIN LATERAL (
        SELECT count(*) AS n FROM mesh_outbox.publisher_event v JOIN mesh_outbox.publisher u USING (publisher_id)
        WHERE starts_with(v.action, 'needs attention') AND v.at > now() - period
          AND u.name IN (SELECT x.publisher FROM mesh_outbox.outbox x JOIN mesh_outbox.product q ON q.name = x.product
                         WHERE q.domain = d.name)) i
    WHERE d.location IS NULL
    ORDER BY d.name COLLATE "C";
END
$$;
COMMENT ON FUNCTION mesh_outbox.maturity(interval) IS
    'one row per domain: products without accountable owner, without promises; contracts in force and enforced; share of the last period''s stored events whose contract is enforced (for owners and administrators, NULL for others); events in breach since the server started; dead letters; what policies found in contracts in force; usual time from proposal to activation; objections; overdue reviews and sunsets; incidents, how often in the period a publisher of its events needed a person';

/* src/mesh/doctor_duties.sql: duties that nobody has, or that are overdue; parts of doctor() */

CREATE FUNCTION mesh_outbox.doctor_owners()
    RETURNS TABLE (severity text, domain text, object text, problem text, remedy text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT 'warning', NULL, format('domain %s', d.name), 'the role that owned it does not exist any more',
               format('SELECT mesh_outbox.alter_domain(%L, owner => ''…'');', d.name)
        FROM mesh_outbox.domain d WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = d.owner)
        UNION ALL
        SELECT 'warning', NULL, format('domain %s', d.name), 'the role of its steward does not exist any more',
               format('SELECT mesh_outbox.alter_domain(%L, steward => '''');', d.name)
        FROM mesh_outbox.domain d WHERE d.steward IS NOT NULL AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = d.steward)
        UNION ALL
        SELECT 'warning', NULL, format('policy %s', p.name), 'the role that it runs as does not exist any more',
               format('SELECT mesh_outbox.set_policy(%L, ''suspended'');', p.name)
        FROM mesh_outbox.policy p WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = p.owner)
        UNION ALL
        SELECT 'notice', p.domain, format('product %s', p.name), w.problem, format(w.remedy, p.name)
        FROM mesh_outbox.product p,
             LATERAL (VALUES
                 (NOT EXISTS (SELECT FROM mesh_outbox.duty d
                              WHERE d.duty = 'accountable' AND (d.product = p.name OR d.domain = p.domain)),
                  'nobody is named as accountable',
                  'SELECT mesh_outbox.assign_duty(''accountable'', ''…'', product => %L);'),
                 (p.latency IS NULL AND p.availability IS NULL AND p.freshness IS NULL,
                  'it promises no latency, availability or freshness',
                  'SELECT mesh_outbox.alter_product(%L, latency => ''…'');'),
                 (p.retention IS NULL, 'it does not say how long its events are kept',
                  'SELECT mesh_outbox.alter_product(%L, retention => ''…'');')) w (applies, problem, remedy)
        WHERE w.applies AND p.status = 'active'
        UNION ALL
        SELECT 'notice', p.domain, format('product %s', p.name),
               format('it is %s and still used by %s', p.status, string_agg(DISTINCT c.name, ', ')),
               format('SELECT consumer, contact FROM mesh_outbox.consumers WHERE product = %L;', p.name)
        FROM mesh_outbox.product p JOIN mesh_outbox.consumer c ON c.product = p.name
        WHERE p.status IN ('deprecated', 'retired') GROUP BY p.name
        UNION ALL
        SELECT 'notice', min(p.domain), format('event type %s', min(c.event_type)),
               format('domains %s have an event type of this name', string_agg(DISTINCT p.domain, ', ')),
               '-- the same name for two facts misleads: agree on names, or make it one product with co-owners'
        FROM mesh_outbox.contract c JOIN mesh_outbox.product p ON p.name = c.product
        WHERE c.status IN ('active', 'deprecated')
        GROUP BY lower(c.event_type) HAVING count(DISTINCT p.domain) > 1;
    END;
COMMENT ON FUNCTION mesh_outbox.doctor_owners() IS
    'owners that are no roles any more, and products without owner, promise or retention';
REVOKE EXECUTE ON FUNCTION mesh_outbox.doctor_owners() FROM PUBLIC;

-- How long a topic keeps its events, as far as it was created by us with a
-- setting; without one the brokers decide, whom nobody can ask here.
CREATE FUNCTION mesh_outbox.topic_retention(topic_config jsonb) RETURNS interval
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
    RETURN CASE WHEN topic_config ->> 'retention.ms' ~ '^[0-9]{1,15}$'
                THEN (topic_config ->> 'retention.ms')::float8 * interval '1 ms' END;
COMMENT ON FUNCTION mesh_outbox.topic_retention(jsonb) IS 'how long events stay in a topic; NULL: for ever, or as the brokers are set';
REVOKE EXECUTE ON FUNCTION mesh_outbox.topic_retention(jsonb) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.doctor_needs()
    RETURNS TABLE (severity text, domain text, object text, problem text, remedy text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT 'warning', p.domain, format('product %s', p.name),
               format('it keeps events for %s, but consumer %s needs %s', p.retention, c.name, c.min_retention),
               format('SELECT mesh_outbox.alter_product(%L, retention => %L);', p.name, c.min_retention)
        FROM mesh_outbox.product p JOIN mesh_outbox.consumer c ON c.product = p.name
        WHERE c.min_retention > p.retention
        UNION ALL
        SELECT 'warning', p.domain, format('topic %s', t.topic),
               format('it was created to keep events for %s, but %s %s', t.retention, n.who, n.needed),
               format('SELECT mesh_outbox.alter_product(%L, topic_config => %L); -- for topics to come; the brokers'' kafka-configs.sh for this one',
                      p.name, p.topic_config || jsonb_build_object('retention.ms', (extract(epoch FROM n.needed) * 1000)::bigint))
        FROM mesh_outbox.product p
        CROSS JOIN LATERAL (SELECT DISTINCT k.topic, k.major, mesh_outbox.topic_retention(k.topic_config) AS retention
                            FROM mesh_outbox.contract k
                            WHERE k.product = p.name AND k.status IN ('active', 'deprecated')) t
        CROSS JOIN LATERAL (SELECT 'its product promises' AS who, p.retention AS needed
                            UNION ALL
                            SELECT format('consumer %s needs', c.name), c.min_retention
                            FROM mesh_outbox.consumer c
                            WHERE c.product = p.name AND c.major = t.major) n
        WHERE n.needed > t.retention
        UNION ALL
        SELECT 'warning', p.domain, format('product %s', p.name),
               format('consumer %s needs events within %s, and it promises %s', c.name, c.max_lag,
                      coalesce('them within ' || p.latency, 'nothing')),
               format('SELECT mesh_outbox.alter_product(%L, latency => %L); -- or talk to %s', p.name, c.max_lag, c.contact)
        FROM mesh_outbox.product p JOIN mesh_outbox.consumer c ON c.product = p.name
        WHERE coalesce(p.latency > c.max_lag, c.max_lag IS NOT NULL)
        UNION ALL
        SELECT 'warning', p.domain, format('product %s', p.name),
               format('its events took up to %s to Kafka in the last hour, but %s need them sooner', d.delay,
                      string_agg(format('%s (%s)', c.name, c.max_lag), ', ' ORDER BY c.name)),
               'SELECT name, state, lag, last_error FROM mesh_outbox.publishers;'
        FROM (SELECT DISTINCT c.product FROM mesh_outbox.consumer c WHERE c.max_lag IS NOT NULL) n
        JOIN mesh_outbox.product p ON p.name = n.product
        CROSS JOIN LATERAL (SELECT mesh_outbox.publish_delay(p.name, now() - interval '1 hour') AS delay) d
        JOIN mesh_outbox.consumer c ON c.product = p.name AND c.max_lag < d.delay
        GROUP BY p.name, d.delay;
    END;
COMMENT ON FUNCTION mesh_outbox.doctor_needs() IS
    'consumers that need events kept longer, or sooner, than is promised, set or found';
REVOKE EXECUTE ON FUNCTION mesh_outbox.doctor_needs() FROM PUBLIC;

CREATE FUNCTION mesh_outbox.doctor_overdue()
    RETURNS TABLE (severity text, domain text, object text, problem text, remedy text)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT 'warning', p.domain, format('contract %s %s %s', c.product, c.event_type, c.version),
               format('it has been under enforcement %s since %s', c.enforcement, greatest(c.activated_at, k.enforced_at)::date),
               format('SELECT mesh_outbox.set_enforcement(%L, %L, %L, ''enforce'', reason => ''…''); -- when mesh_outbox.violations is quiet',
                      c.product, c.event_type, c.version)
        FROM mesh_outbox.contracts c JOIN mesh_outbox.contract k USING (contract_id)
        JOIN mesh_outbox.product p ON p.name = c.product
        WHERE c.in_force AND c.enforcement IN ('off', 'observe')
          AND greatest(c.activated_at, k.enforced_at) < mesh_outbox.present() - interval '30 days'
        UNION ALL
        SELECT 'warning', p.domain, format('contract %s %s %s', c.product, c.event_type, c.version),
               format('its sunset was on %s and it is still in force', c.sunset_at::date),
               format('SELECT mesh_outbox.retire_contract(%1$L, %2$L, %3$L); -- or SELECT mesh_outbox.postpone_sunset(%1$L, %2$L, %3$L, ''…'', reason => ''…'');',
                      c.product, c.event_type, c.version)
        FROM mesh_outbox.contracts c JOIN mesh_outbox.product p ON p.name = c.product
        WHERE c.status = 'deprecated' AND c.sunset_at < mesh_outbox.present()
        UNION ALL
        SELECT 'warning', NULL, 'enforcement', format('it is capped at %s since %s: %s', e.enforcement, e.set_at::date, e.reason),
               'SELECT mesh_outbox.cap_enforcement(''enforce'', reason => ''…'');'
        FROM mesh_outbox.enforcement_cap e WHERE e.enforcement <> 'enforce'
        UNION ALL
        SELECT 'notice', p.domain, format('contract %s %s %s', c.product, c.event_type, c.version),
               format('it has been a proposal since %s', c.created_at::date),
               format('CALL mesh_outbox.cut_over(%1$L, %2$L, %3$L); -- or SELECT mesh_outbox.withdraw_proposal(%1$L, %2$L, %3$L);',
                      c.product, c.event_type, c.version)
        FROM mesh_outbox.contracts c JOIN mesh_outbox.product p ON p.name = c.product
        WHERE c.status = 'proposed' AND c.created_at < mesh_outbox.present() - interval '30 days'
        UNION ALL
        SELECT 'warning', p.domain, format('event type %s %s', r.product, r.event_type),
               format('its review was due on %s', r.due),
               format('SELECT mesh_outbox.set_review(%L, %L, due => ''…'', note => ''…'');', r.product, r.event_type)
        FROM mesh_outbox.review r JOIN mesh_outbox.product p ON p.name = r.product
        WHERE r.due < mesh_outbox.present()::date
        UNION ALL
        -- what a scribe does every minute
        SELECT 'warning', NULL, d.what,
               format('not dealt with, of %s%s', string_agg(DISTINCT d.product, ', '),
                      CASE WHEN EXISTS (SELECT FROM mesh_outbox.publisher_slots() s WHERE s.scribe_pid IS NOT NULL)
                           THEN ': the server''s log says why' ELSE ': no publisher runs, which would have it done' END),
               'SELECT * FROM mesh_outbox.run_due();'
        FROM mesh_outbox.due(false) d
        WHERE d.since IS NULL OR d.since < mesh_outbox.present() - interval '10 minutes'
        GROUP BY d.what
        UNION ALL
        SELECT 'notice', p.domain, format('product %s', p.name),
               format('consumer %s is registered and has no access (any more)', c.name),
               format('SELECT mesh_outbox.grant_consume(%L, %L); -- or talk to %s', p.name, c.name, c.contact)
        FROM mesh_outbox.product p JOIN mesh_outbox.consumer c ON c.product = p.name
        WHERE p.access = 'on request' AND c.name <> p.domain
          AND NOT EXISTS (SELECT FROM mesh_outbox.consume_grant g
                          WHERE (g.product, g.consumer) = (c.product, c.name)
                            AND (g.until IS NULL OR g.until > mesh_outbox.present()))
        UNION ALL
        SELECT 'notice', t.domain, format('type %s', y.type),
               format('it has version %s of term %s, which has version %s', y.version, t.name, t.version),
               format('SELECT mesh_outbox.create_term_type(%L, %L);', t.name, y.type)
        FROM mesh_outbox.term_type y JOIN mesh_outbox.term t ON t.name = y.term JOIN pg_type p ON p.oid = y.type
        WHERE y.version <> t.version
        UNION ALL
        SELECT 'notice', t.domain, format('term %s', e.term),
               format('the exception of product %s ended on %s', e.product, e.until),
               format('SELECT * FROM mesh_outbox.who_uses(%L);', e.term)
        FROM mesh_outbox.term_exception e JOIN mesh_outbox.term t ON t.name = e.term
        WHERE e.until < mesh_outbox.present()::date;
    END;
COMMENT ON FUNCTION mesh_outbox.doctor_overdue() IS
    'contracts in observe or proposed for more than 30 days, sunsets, reviews, exceptions and rights whose day has passed';
REVOKE EXECUTE ON FUNCTION mesh_outbox.doctor_overdue() FROM PUBLIC;

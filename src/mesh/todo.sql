/* src/mesh/todo.sql: what waits for whom */

CREATE FUNCTION mesh_outbox.todo()
    RETURNS TABLE (what text, product text, event_type text, version text, consumer text, since timestamptz, how text)
    LANGUAGE mesh_outbox_plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT t.what, t.product, t.event_type, t.version, t.consumer, t.since, mesh_outbox.one_line(t.how) FROM (
    WITH mine AS (SELECT mesh_outbox.owned_domains() AS name), watched AS (SELECT mesh_outbox.watched_domains() AS name)
    SELECT 'answer a proposal', n.product, n.event_type, n.version, n.consumer, n.created_at,
           format('SELECT mesh_outbox.acknowledge(%L, %L, %L, %L), or object(…, reason => ''…'')',
                  n.consumer, n.product, n.event_type, n.version)
    FROM mesh_outbox.notifications n
    WHERE n.status = 'proposed' AND n.acknowledged_at IS NULL AND n.objection IS NULL
      AND n.consumer IN (SELECT name FROM watched)
    UNION ALL
    SELECT 'settle an objection', n.product, n.event_type, n.version, n.consumer, n.objected_at,
           format('%s: talk to them, or SELECT mesh_outbox.override_objection(%L, %L, %L, %L, reason => ''…'')',
                  n.objection, n.consumer, n.product, n.event_type, n.version)
    FROM mesh_outbox.notifications n JOIN mesh_outbox.product p ON p.name = n.product
    WHERE (n.status = 'proposed' AND n.kind = 'proposal' OR n.status = 'deprecated' AND n.kind = 'deprecation')
      AND n.objection IS NOT NULL AND n.overridden_at IS NULL
      AND p.domain IN (SELECT name FROM mine)
    UNION ALL
    SELECT CASE WHEN d.declared THEN 'register again: what was wished for is declared' ELSE 'consider what a consumer wishes for' END,
           s.product, s.event_type, mesh_outbox.version_text(f), s.name, s.created_at,
           CASE WHEN d.declared THEN format('SELECT mesh_outbox.register_consumer(%L, %L, %L, contact => %L, needs => …): %s',
                                            s.name, s.product, s.event_type, s.contact, array_to_string(s.pending, ', '))
                ELSE format('%s: propose a version that declares it, or talk to %s', array_to_string(s.pending, ', '), s.contact) END
    FROM mesh_outbox.consumer s
    JOIN mesh_outbox.product p ON p.name = s.product
    CROSS JOIN LATERAL mesh_outbox.contract_in_force(s.product, s.event_type, s.major) f
    CROSS JOIN LATERAL (SELECT s.pending && ARRAY(SELECT e.pointer FROM mesh_outbox.declared_properties(f.resolved_schema) e) AS declared) d
    WHERE s.pending <> '{}'
      AND CASE WHEN d.declared THEN s.name IN (SELECT name FROM watched) OR p.domain IN (SELECT name FROM mine)
                                    AND NOT EXISTS (SELECT FROM mesh_outbox.domain o WHERE o.name = s.name)
               ELSE p.domain IN (SELECT name FROM mine) END
    UNION ALL
    SELECT 'activate or withdraw a proposal', c.product, c.event_type, mesh_outbox.version_text(c), NULL, c.created_at,
           format('CALL mesh_outbox.cut_over(%L, %L, %L)', c.product, c.event_type, mesh_outbox.version_text(c))
    FROM mesh_outbox.contract c JOIN mesh_outbox.product p ON p.name = c.product
    WHERE c.status = 'proposed' AND p.domain IN (SELECT name FROM mine)
    UNION ALL
    SELECT 'approve a proposal as co-owner', a.product, a.event_type, a.version, a.domain, c.created_at,
           format('SELECT mesh_outbox.approve_contract(%L, %L, %L, %L)', a.product, a.event_type, a.version, a.domain)
    FROM mesh_outbox.approvals a
    JOIN mesh_outbox.contracts c ON (c.product, c.event_type, c.version) = (a.product, a.event_type, a.version)
    WHERE a.status = 'proposed' AND a.approved_at IS NULL AND a.domain IN (SELECT name FROM mine)
    UNION ALL
    SELECT 'decide on a request for access', r.product, NULL, NULL, r.grantee, r.requested_at,
           format('SELECT mesh_outbox.approve_access(%s), or decline_access(…, reason => ''…''): %s: %s',
                  r.request_id, r."right", r.reason)
    FROM mesh_outbox.access_request r JOIN mesh_outbox.product p ON p.name = r.product
    WHERE r.decision IS NULL AND p.domain IN (SELECT name FROM mine)
    UNION ALL
    SELECT 'review a contract', r.product, r.event_type, NULL, NULL, r.due::timestamptz,
           format('SELECT mesh_outbox.set_review(%L, %L, due => ''…'', note => ''…'')', r.product, r.event_type)
    FROM mesh_outbox.review r JOIN mesh_outbox.product p ON p.name = r.product
    WHERE r.due <= mesh_outbox.present()::date AND p.domain IN (SELECT name FROM watched)
    UNION ALL
    SELECT 'verify a proposal', c.product, c.event_type, mesh_outbox.version_text(c), g.consumer, c.created_at,
           format('SELECT mesh_outbox.record_verification(%L, %L, %L, %L, passed => …)',
                  g.consumer, c.product, c.event_type, mesh_outbox.version_text(c))
    FROM mesh_outbox.contract c, LATERAL mesh_outbox.verification_gaps(c) g
    WHERE c.status = 'proposed' AND g.consumer IN (SELECT name FROM mine)
    UNION ALL
    SELECT 'leave a version that ends', c.product, c.event_type, c.version, s.name, c.deprecated_at,
           format('before %s; then SELECT mesh_outbox.unregister_consumer(%L, %L, %L, %s); or object(…, reason => ''…'')', c.sunset_at::date,
                  s.name, s.product, s.event_type, s.major)
    FROM mesh_outbox.consumer s
    JOIN mesh_outbox.contracts c ON c.product = s.product AND c.event_type = coalesce(s.event_type, c.event_type)
         AND split_part(c.version, '.', 1)::int = s.major
    WHERE c.in_force AND c.status = 'deprecated' AND s.name IN (SELECT name FROM mine)
    UNION ALL
    SELECT 'retire a version whose sunset is reached', c.product, c.event_type, mesh_outbox.version_text(c), NULL, c.sunset_at,
           format('SELECT mesh_outbox.retire_contract(%L, %L, %L)', c.product, c.event_type, mesh_outbox.version_text(c))
    FROM mesh_outbox.contract c JOIN mesh_outbox.product p ON p.name = c.product
    WHERE c.status = 'deprecated' AND c.sunset_at <= mesh_outbox.present() AND p.domain IN (SELECT name FROM mine)
    ) t (what, product, event_type, version, consumer, since, how)
    ORDER BY t.since, t.product, t.event_type, t.version, t.consumer;
END
$$;
COMMENT ON FUNCTION mesh_outbox.todo() IS 'what waits for the current user, oldest first, with the call that settles it';

/* src/mesh/due.sql: what happens by the clock */

-- Nothing here ends anything that its owner has not said shall end: access
-- has a time limit, and retirement at the sunset is chosen per product.
-- Whether nobody uses a version any more has to be looked up in the outboxes,
-- so it is tried less often ("retire").
CREATE FUNCTION mesh_outbox.due(retire boolean)
    RETURNS TABLE (what text, product text, contract_id bigint, event_type text, since timestamptz)
    LANGUAGE sql STABLE ROWS 1
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT 'expired access', e.product, NULL::bigint, NULL::text, min(e.until)
        FROM mesh_outbox.expired_access() e GROUP BY e.product
        UNION ALL
        SELECT 'end of notice', c.product, c.contract_id, c.event_type, c.notice_until
        FROM mesh_outbox.contract c
        WHERE c.status = 'proposed' AND c.notice_until <= mesh_outbox.present() AND NOT c.notice_ended
        UNION ALL
        SELECT 'sunset', c.product, c.contract_id, c.event_type, c.sunset_at
        FROM mesh_outbox.contract c JOIN mesh_outbox.change_rule r ON r.product = c.product
        WHERE c.status = 'deprecated' AND c.sunset_at <= mesh_outbox.present()
          AND (NOT c.sunset_reached OR due.retire AND r.retire_at_sunset)
        UNION ALL
        SELECT 'review', r.product, NULL, r.event_type, r.due::timestamptz
        FROM mesh_outbox.review r WHERE r.due <= mesh_outbox.present()::date AND NOT r.reminded
        ORDER BY 5, 1, 2, 4;
    END;
COMMENT ON FUNCTION mesh_outbox.due(boolean) IS 'what is to be done because its time has come; retire: also try again to end versions past their sunset';
REVOKE EXECUTE ON FUNCTION mesh_outbox.due(boolean) FROM PUBLIC;

-- From now on silence is consent: the owner may go on.
CREATE FUNCTION mesh_outbox.end_notice(contract_id bigint) RETURNS text
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE mesh_outbox.contract c SET notice_ended = true
    WHERE c.contract_id = end_notice.contract_id AND c.status = 'proposed' AND NOT c.notice_ended;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM pg_notify('mesh_outbox', jsonb_build_object('notice_ended', contract_id)::text);
    RETURN 'its owner was told';
END
$$;
COMMENT ON FUNCTION mesh_outbox.end_notice(bigint) IS 'tells that the time to object to a proposal is over';
REVOKE EXECUTE ON FUNCTION mesh_outbox.end_notice(bigint) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.remind_of_review(product text, event_type text) RETURNS text
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE mesh_outbox.review r SET reminded = true
    WHERE (r.product, r.event_type) = (remind_of_review.product, remind_of_review.event_type) AND NOT r.reminded;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM pg_notify('mesh_outbox', jsonb_build_object('review', jsonb_build_array(product, event_type))::text);
    RETURN 'its owner was told';
END
$$;
COMMENT ON FUNCTION mesh_outbox.remind_of_review(text, text) IS 'tells that an event type''s contract is to be looked at again';
REVOKE EXECUTE ON FUNCTION mesh_outbox.remind_of_review(text, text) FROM PUBLIC;

-- A publisher waits while its scribe is here, so nothing waits long for a
-- lock; what fails is left for the next time, and keeps nothing else.
CREATE FUNCTION mesh_outbox.run_due(retire boolean DEFAULT true)
    RETURNS TABLE (what text, product text, event_type text, outcome text)
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '100ms' AS $$
DECLARE
    due record;
BEGIN
    PERFORM mesh_outbox.require_admin('do what is due');
    BEGIN
        PERFORM mesh_outbox.record_uses();
    EXCEPTION WHEN OTHERS THEN
        RAISE WARNING USING MESSAGE = 'could not record which rights to publish are used', DETAIL = SQLERRM;
    END;
    FOR due IN SELECT * FROM mesh_outbox.due(retire) LOOP
        BEGIN
            outcome := CASE due.what
                WHEN 'expired access' THEN
                    (SELECT string_agg(format('%s: %s', e.grantee, e."right"), ', ') FROM mesh_outbox.expire_access_to(due.product) e)
                WHEN 'end of notice' THEN mesh_outbox.end_notice(due.contract_id)
                WHEN 'sunset' THEN mesh_outbox.reach_sunset(due.contract_id)
                ELSE mesh_outbox.remind_of_review(due.product, due.event_type) END;
        EXCEPTION WHEN OTHERS THEN
            RAISE WARNING USING
                MESSAGE = format('%s of product "%s" is due and could not be dealt with', due.what, due.product),
                DETAIL = SQLERRM;
            CONTINUE;
        END;
        IF outcome IS NOT NULL THEN
            what := due.what;
            product := due.product;
            event_type := due.event_type;
            RETURN NEXT;
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION mesh_outbox.run_due(boolean) IS
    'does what is due by the clock and says what: takes back expired rights, records which rights to publish are used, tells of ended notice, sunsets and reviews, and retires where retire_at_sunset is set. A running publisher has it done every minute, retirements every hour; for administrators, where none runs';

/* src/mesh/rules.sql: the clock of changes, and what they wait for */

CREATE FUNCTION mesh_outbox.present() RETURNS timestamptz
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    RETURN coalesce(nullif(current_setting('mesh_outbox.clock', true), '')::timestamptz, now());
COMMENT ON FUNCTION mesh_outbox.present() IS
    'the time that notices and sunsets are measured by: of the transaction, or mesh_outbox.clock where a superuser set it';
REVOKE EXECUTE ON FUNCTION mesh_outbox.present() FROM PUBLIC;

CREATE FUNCTION mesh_outbox.change_rules_of(product text) RETURNS mesh_outbox.change_rule
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rules mesh_outbox.change_rule;
BEGIN
    PERFORM mesh_outbox.find_product(product);
    SELECT * INTO STRICT rules FROM mesh_outbox.change_rule r WHERE r.product = change_rules_of.product;
    RETURN rules;
END
$$;
COMMENT ON FUNCTION mesh_outbox.change_rules_of(text) IS 'what a product''s changes have to wait for and pass';
REVOKE EXECUTE ON FUNCTION mesh_outbox.change_rules_of(text) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.set_change_rules(
    product text, notice interval DEFAULT NULL, breaking_notice interval DEFAULT NULL,
    sunset_notice interval DEFAULT NULL, idle_time interval DEFAULT NULL, retire_at_sunset boolean DEFAULT NULL,
    verification boolean DEFAULT NULL, calm_time interval DEFAULT NULL,
    trial_events int DEFAULT NULL, trial_time interval DEFAULT NULL) RETURNS void
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rules mesh_outbox.change_rule := mesh_outbox.change_rules_of(product);
BEGIN
    PERFORM mesh_outbox.require_domain((mesh_outbox.find_product(product)).domain,
                                       format('change the rules for changes of product "%s"', product));
    PERFORM mesh_outbox.lock_product(product);
    IF breaking_notice < rules.breaking_notice OR sunset_notice < rules.sunset_notice THEN
        PERFORM mesh_outbox.require_admin('shorten the notice that consumers have');
    END IF;
    IF '0' > ANY (ARRAY[notice, breaking_notice, sunset_notice, idle_time, calm_time, trial_time])
       OR trial_events < 0 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'a period or number must not be negative';
    END IF;
    UPDATE mesh_outbox.change_rule r
    SET notice = coalesce(set_change_rules.notice, r.notice),
        breaking_notice = coalesce(set_change_rules.breaking_notice, r.breaking_notice),
        sunset_notice = coalesce(set_change_rules.sunset_notice, r.sunset_notice),
        idle_time = coalesce(set_change_rules.idle_time, r.idle_time),
        retire_at_sunset = coalesce(set_change_rules.retire_at_sunset, r.retire_at_sunset),
        verification = coalesce(set_change_rules.verification, r.verification),
        calm_time = coalesce(set_change_rules.calm_time, r.calm_time),
        trial_events = coalesce(set_change_rules.trial_events, r.trial_events),
        trial_time = coalesce(set_change_rules.trial_time, r.trial_time)
    WHERE r.product = set_change_rules.product;
END
$$;
COMMENT ON FUNCTION mesh_outbox.set_change_rules(text, interval, interval, interval, interval, boolean, boolean, interval, int, interval) IS
    'what a product''s changes have to wait for and pass, see the view change_rules; NULL leaves as it is. Only an administrator shortens breaking_notice and sunset_notice';

CREATE VIEW mesh_outbox.change_rules AS
    SELECT r.product, r.notice, r.breaking_notice, r.sunset_notice, r.idle_time, r.retire_at_sunset,
           r.verification, r.calm_time, r.trial_events, r.trial_time
    FROM mesh_outbox.change_rule r;
COMMENT ON VIEW mesh_outbox.change_rules IS 'what a product''s changes have to wait for and pass';
COMMENT ON COLUMN mesh_outbox.change_rules.notice IS 'how long consumers may object to a compatible change; 0: the proposal has only to be committed first';
COMMENT ON COLUMN mesh_outbox.change_rules.breaking_notice IS 'how long they may object to a change that breaks somebody';
COMMENT ON COLUMN mesh_outbox.change_rules.sunset_notice IS 'least time between the deprecation of a version and its sunset';
COMMENT ON COLUMN mesh_outbox.change_rules.idle_time IS 'events inserted less long ago keep a version from being retired';
COMMENT ON COLUMN mesh_outbox.change_rules.retire_at_sunset IS 'whether a version that nobody uses any more is retired when its sunset is reached';
COMMENT ON COLUMN mesh_outbox.change_rules.verification IS 'whether every consumer''s own tests must have passed before a version comes into force';
COMMENT ON COLUMN mesh_outbox.change_rules.calm_time IS 'how long no event may have been in breach before enforce is called safe';
COMMENT ON COLUMN mesh_outbox.change_rules.trial_events IS 'how many of the newest stored events a proposal is tried on';
COMMENT ON COLUMN mesh_outbox.change_rules.trial_time IS 'how long that may take';
GRANT SELECT ON mesh_outbox.change_rules TO PUBLIC;

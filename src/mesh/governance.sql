/* src/mesh/governance.sql: the mesh's own product, the life of contracts as events */

-- ---------------------------------------------------------------------
-- What its events are
-- ---------------------------------------------------------------------

-- All of them carry subject, by, at, audit_no and audit_hash besides.  Without
-- SET, so that it can be inlined.
CREATE FUNCTION mesh_outbox.governance_events(
    OUT event_type text, OUT description text, OUT required text[], OUT optional text[])
    RETURNS SETOF record
    LANGUAGE sql IMMUTABLE
    BEGIN ATOMIC
        VALUES ('GovernanceTopicEnabled', 'the mesh tells of its changes from here on', '{}'::text[], '{}'::text[]),
               ('ContractProposed', 'a contract version that is not in force yet',
                '{product,event_type,version,ce_type,topic}',
                '{description,compatibility,notice_until,override_reason,schema}'),
               ('ConsumerNotified', 'a consumer was told of a proposal, or of the end of a version',
                '{product,event_type,version,consumer,kind}', '{notice_until,sunset_at}'),
               ('ProposalAcknowledged', 'a consumer agrees to a proposal or the end of a version; its objection, if any, is withdrawn',
                '{product,event_type,version,consumer}', '{}'),
               ('ProposalObjected', 'a consumer objects to a proposal or the end of a version',
                '{product,event_type,version,consumer,reason}', '{}'),
               ('ObjectionOverridden', 'the owner goes on in spite of an objection',
                '{product,event_type,version,consumer,reason}', '{}'),
               ('VersionVerified', 'a consumer''s own tests have passed against a version, or not',
                '{product,event_type,version,consumer,passed}', '{url}'),
               ('NoticeEnded', 'the time to object to a proposal is over',
                '{product,event_type,version}', '{notice_until}'),
               ('ProposalApproved', 'a domain that co-owns the product approves of a proposal',
                '{product,event_type,version,domain}', '{}'),
               ('ProposalWithdrawn', 'a proposal will not come into force',
                '{product,event_type,version}', '{reason}'),
               ('ContractActivated', 'a contract version is in force',
                '{product,event_type,version,ce_type,ce_dataschema,topic,enforcement}', '{previous_version,description}'),
               ('ContractDeprecated', 'the end of a contract version is announced',
                '{product,event_type,version}', '{sunset_at}'),
               ('SunsetPostponed', 'a contract version ends later than was announced',
                '{product,event_type,version,sunset_at}', '{reason}'),
               ('SunsetReached', 'a contract version may be retired any time',
                '{product,event_type,version,sunset_at}', '{}'),
               ('ContractRetired', 'a contract version is not in force any more',
                '{product,event_type,version}', '{reason}'),
               ('EnforcementChanged', 'a contract version is applied more or less strictly',
                '{product,event_type,version,enforcement}', '{reason}'),
               ('ContractChanged', 'something else about a contract version',
                '{product,event_type,version,changed}', '{}'),
               ('TermChanged', 'a term of the dictionary was created, changed or dropped',
                '{name,action}', '{}'),
               ('CatalogChanged', 'anything else that the audit record tells of',
                '{object,action}', '{name}');
    END;
COMMENT ON FUNCTION mesh_outbox.governance_events() IS
    'event types of the product mesh_outbox.governance, with the properties they have besides subject, by, at, audit_no and audit_hash';

CREATE FUNCTION mesh_outbox.governance_schema(required text[], optional text[]) RETURNS json
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT json_build_object(
            'type', 'object',
            'required', to_json('{subject,by,at,audit_no,audit_hash}'::text[] || required),
            'properties', json_object_agg(p.name, coalesce(k.schema, '{"type": "string"}')))
        FROM unnest('{subject,by,at,audit_no,audit_hash}'::text[] || required || optional) p(name)
        LEFT JOIN (VALUES
            ('subject', '{"type": "string", "description": "what it is about; the key"}'::json),
            ('by', '{"type": "string", "description": "the role that made the change"}'),
            ('at', '{"type": "string", "format": "date-time"}'),
            ('audit_no', '{"type": "integer", "minimum": 1, "description": "the link of the audit chain that records the change"}'),
            ('audit_hash', '{"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "its hash, which covers all links before it"}'),
            ('notice_until', '{"type": "string", "format": "date-time"}'),
            ('sunset_at', '{"type": "string", "format": "date-time"}'),
            ('passed', '{"type": "boolean"}'),
            ('changed', '{"type": "array", "items": {"type": "string"}}'),
            ('schema', '{"type": ["object", "boolean"]}')) k(name, schema) USING (name);
    END;
COMMENT ON FUNCTION mesh_outbox.governance_schema(text[], text[]) IS
    'schema of a governance event with these properties';

-- ---------------------------------------------------------------------
-- From the audit record to events
-- ---------------------------------------------------------------------

-- The outbox, NULL while there is none.  A dump that is being restored has
-- the table and its registration before the trigger that makes it one.
CREATE FUNCTION mesh_outbox.governance_outbox() RETURNS regclass
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    RETURN (SELECT o.relation FROM mesh_outbox.outbox o
            JOIN pg_trigger t ON t.tgrelid = o.relation AND t.tgname = 'mesh_outbox_check'
            WHERE o.product = 'mesh_outbox.governance' ORDER BY o.outbox_id LIMIT 1);
COMMENT ON FUNCTION mesh_outbox.governance_outbox() IS
    'the table whose rows are the governance topic''s events; NULL when it is not enabled';

CREATE FUNCTION mesh_outbox.governance_contract(c mesh_outbox.contract, told_by text) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    RETURN jsonb_build_object(
        'subject', c.product, 'product', c.product, 'event_type', c.event_type, 'version', mesh_outbox.version_text(c),
        'ce_type', c.ce_type, 'ce_dataschema', c.ce_dataschema, 'topic', c.topic, 'description', c.description,
        'compatibility', c.compatibility, 'notice_until', c.notice_until, 'override_reason', c.override_reason,
        'enforcement', c.enforcement, 'sunset_at', c.sunset_at,
        -- a huge one must not be the reason why nobody hears of it
        'schema', CASE WHEN told_by = 'ContractProposed' AND octet_length(c.schema::text) < 500000 THEN c.schema END,
        'previous_version', CASE WHEN told_by = 'ContractActivated' THEN
            (SELECT mesh_outbox.version_text(p) FROM mesh_outbox.earlier_versions(c) p LIMIT 1) END);
COMMENT ON FUNCTION mesh_outbox.governance_contract(mesh_outbox.contract, text) IS
    'what a governance event may tell of a contract version';
REVOKE EXECUTE ON FUNCTION mesh_outbox.governance_contract(mesh_outbox.contract, text) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.governance_event_of_contract(link mesh_outbox.audit) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
    RETURN CASE
        WHEN link.action = 'delete' AND link.old_values ->> 'status' IN ('draft', 'proposed') THEN 'ProposalWithdrawn'
        WHEN link.action = 'delete' THEN 'CatalogChanged'
        WHEN link.new_values ->> 'status' = 'proposed' THEN 'ContractProposed'
        WHEN link.new_values ->> 'status' = 'active' THEN 'ContractActivated'
        WHEN link.new_values ->> 'status' = 'deprecated' THEN 'ContractDeprecated'
        WHEN link.new_values ->> 'status' = 'retired' THEN
            CASE WHEN link.old_values ->> 'status' IN ('draft', 'proposed') THEN 'ProposalWithdrawn' ELSE 'ContractRetired' END
        WHEN link.new_values ?| ARRAY['enforcement', 'rollout'] THEN 'EnforcementChanged'
        WHEN link.new_values ? 'sunset_at' THEN 'SunsetPostponed'
        WHEN (link.new_values ->> 'sunset_reached')::boolean THEN 'SunsetReached'
        WHEN (link.new_values ->> 'notice_ended')::boolean THEN 'NoticeEnded'
        ELSE 'ContractChanged' END;
COMMENT ON FUNCTION mesh_outbox.governance_event_of_contract(mesh_outbox.audit) IS
    'event type that tells of a change of a contract version';

-- NULL: told already by the event of the proposal that went with it.
CREATE FUNCTION mesh_outbox.governance_event_of_notice(link mesh_outbox.audit) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
    RETURN CASE
        WHEN link.action = 'insert' THEN 'ConsumerNotified'
        WHEN link.action = 'delete' THEN NULL
        WHEN link.new_values ? 'created_at' THEN 'ConsumerNotified'
        WHEN link.new_values ->> 'overridden_at' IS NOT NULL THEN 'ObjectionOverridden'
        WHEN link.new_values ->> 'objection' IS NOT NULL THEN 'ProposalObjected'
        WHEN link.new_values ->> 'acknowledged_at' IS NOT NULL THEN 'ProposalAcknowledged'
        ELSE 'CatalogChanged' END;
COMMENT ON FUNCTION mesh_outbox.governance_event_of_notice(mesh_outbox.audit) IS
    'event type that tells of a notice or its answer';

-- An event_type of NULL means that there is nothing to tell.
CREATE FUNCTION mesh_outbox.governance_event(link mesh_outbox.audit, OUT event_type text, OUT payload jsonb)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    told jsonb := coalesce(link.old_values, '{}') || coalesce(link.new_values, '{}');
    name text := coalesce(told ->> 'name', told ->> 'relation', told ->> 'policy', told ->> 'term', told ->> 'product');
    contract mesh_outbox.contract;
BEGIN
    event_type := CASE link.object
                      WHEN 'contract' THEN mesh_outbox.governance_event_of_contract(link)
                      WHEN 'notification' THEN mesh_outbox.governance_event_of_notice(link)
                      WHEN 'approval' THEN CASE WHEN link.action <> 'delete' THEN 'ProposalApproved' END
                      WHEN 'verification' THEN CASE WHEN link.action <> 'delete' THEN 'VersionVerified' END
                      WHEN 'term' THEN 'TermChanged'
                      -- the topic's own one has to be resumed before it takes events
                      WHEN 'publisher' THEN NULL
                      -- neither a look at events nor the use of a right changes anything
                      WHEN 'stored events' THEN NULL
                      WHEN 'publish_grant' THEN CASE WHEN link.action <> 'use' THEN 'CatalogChanged' END
                      ELSE 'CatalogChanged' END;
    payload := jsonb_build_object('subject', concat_ws(':', link.object, name), 'name', name,
                                  'object', link.object, 'action', link.action);
    IF link.object IN ('contract', 'notification', 'verification', 'approval') THEN
        SELECT c.* INTO contract FROM mesh_outbox.contract c WHERE c.contract_id = (told ->> 'contract_id')::bigint;
        IF NOT FOUND THEN
            contract := jsonb_populate_record(NULL::mesh_outbox.contract, told);
        END IF;
        payload := payload || mesh_outbox.governance_contract(contract, event_type)
                   || jsonb_build_object(
            'consumer', (SELECT c.name FROM mesh_outbox.consumer c WHERE c.consumer_id = (told ->> 'consumer_id')::int),
            'kind', told -> 'kind', 'passed', told -> 'passed', 'url', told -> 'url', 'domain', told -> 'domain',
            'reason', coalesce(told ->> 'override_reason', told ->> 'objection', told ->> 'end_reason',
                               told ->> 'enforcement_reason'),
            'changed', (SELECT jsonb_agg(k ORDER BY k) FROM jsonb_object_keys(link.new_values) k
                        WHERE k NOT IN ('contract_id', 'product', 'event_type', 'major', 'minor', 'patch')));
    END IF;
    payload := payload || jsonb_build_object('by', link.actor, 'at', link.at, 'audit_no', link.audit_no,
                                             'audit_hash', encode(link.hash, 'hex'));
END
$$;
COMMENT ON FUNCTION mesh_outbox.governance_event(mesh_outbox.audit) IS
    'the event that tells of a change, with all that is known; send_governance_event takes what its contract has';
REVOKE EXECUTE ON FUNCTION mesh_outbox.governance_event(mesh_outbox.audit) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.send_governance_event(relation regclass, event_type text, payload jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    SELECT jsonb_object_agg(p.key, p.value) INTO payload
    FROM mesh_outbox.governance_events() e, jsonb_each(payload) p
    WHERE e.event_type = send_governance_event.event_type AND p.value <> 'null'
      AND p.key = ANY ('{subject,by,at,audit_no,audit_hash}'::text[] || e.required || e.optional);
    EXECUTE format('INSERT INTO %s (event_type, payload) VALUES ($1, $2)', relation) USING event_type, payload;
END
$$;
COMMENT ON FUNCTION mesh_outbox.send_governance_event(regclass, text, jsonb) IS
    'inserts a governance event';
REVOKE EXECUTE ON FUNCTION mesh_outbox.send_governance_event(regclass, text, jsonb) FROM PUBLIC;

CREATE FUNCTION mesh_outbox.tell_change() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC' AS $$
DECLARE
    relation regclass := mesh_outbox.governance_outbox();
    event record;
BEGIN
    IF relation IS NOT NULL THEN
        event := mesh_outbox.governance_event(NEW);
        IF event.event_type IS NOT NULL THEN
            PERFORM mesh_outbox.send_governance_event(relation, event.event_type, event.payload);
        END IF;
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION mesh_outbox.tell_change() IS 'has an audited change told in the governance topic';
REVOKE EXECUTE ON FUNCTION mesh_outbox.tell_change() FROM PUBLIC;

CREATE TRIGGER tell_change AFTER INSERT ON mesh_outbox.audit
    FOR EACH ROW EXECUTE FUNCTION mesh_outbox.tell_change();

-- ---------------------------------------------------------------------
-- Switching it on
-- ---------------------------------------------------------------------

-- Observed only: a notice must never be what stops the change it tells of.
CREATE FUNCTION mesh_outbox.add_governance_contracts() RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    event record;
    draft mesh_outbox.contract;
BEGIN
    FOR event IN
        SELECT e.* FROM mesh_outbox.governance_events() e
        WHERE e.event_type NOT IN (SELECT c.event_type FROM mesh_outbox.contract c
                                   WHERE c.product = 'mesh_outbox.governance')
    LOOP
        draft := mesh_outbox.draft_contract(
            'mesh_outbox.governance', event.event_type, mesh_outbox.governance_schema(event.required, event.optional),
            '/subject', '1.0.0', '/at', event.description, 'FULL_TRANSITIVE', 'observe', false, NULL);
        draft.contract_id := nextval('mesh_outbox.contract_contract_id_seq');
        INSERT INTO mesh_outbox.contract SELECT draft.*;
    END LOOP;
    UPDATE mesh_outbox.contract c SET status = 'active', activated_at = now()
    WHERE c.product = 'mesh_outbox.governance' AND c.status = 'proposed';
END
$$;
COMMENT ON FUNCTION mesh_outbox.add_governance_contracts() IS
    'puts the contracts of the governance events into force that are not there yet';
REVOKE EXECUTE ON FUNCTION mesh_outbox.add_governance_contracts() FROM PUBLIC;

CREATE FUNCTION mesh_outbox.enable_governance_topic(
    publisher text DEFAULT NULL, topic text DEFAULT 'mesh_outbox.governance', replication int DEFAULT NULL,
    topic_config jsonb DEFAULT '{"retention.ms": -1}') RETURNS regclass
    LANGUAGE mesh_outbox_plpgsql
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC' AS $$
DECLARE
    product mesh_outbox.product;
    relation regclass := mesh_outbox.governance_outbox();
    head mesh_outbox.audit_head;
BEGIN
    PERFORM mesh_outbox.require_admin('enable the governance topic');
    IF relation IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'duplicate_object',
            MESSAGE = 'the governance topic is enabled already',
            HINT = format('SELECT mesh_outbox.set_outbox_publisher(%L, ''…'') has another publisher take it.', relation::text);
    END IF;
    IF NOT EXISTS (SELECT FROM mesh_outbox.domain d WHERE d.name = 'mesh_outbox') THEN
        PERFORM mesh_outbox.create_domain('mesh_outbox', owner => 'mesh_outbox_admin',
                                          description => 'the mesh itself');
    END IF;
    IF NOT EXISTS (SELECT FROM mesh_outbox.product p WHERE p.name = 'mesh_outbox.governance') THEN
        PERFORM mesh_outbox.create_product(
            'mesh_outbox.governance', purpose => 'the life of contracts, and the head of the audit record',
            topic => topic, replication => replication, topic_config => topic_config);
    END IF;
    PERFORM mesh_outbox.lock_product('mesh_outbox.governance');
    PERFORM mesh_outbox.add_governance_contracts();
    product := mesh_outbox.find_product('mesh_outbox.governance');
    relation := mesh_outbox.make_outbox('mesh_outbox', 'governance_outbox', product,
                                        mesh_outbox.choose_publisher(publisher));
    -- only changes are told, and only by themselves
    EXECUTE format('REVOKE INSERT ON %s FROM mesh_outbox_admin', relation);
    SELECT * INTO STRICT head FROM mesh_outbox.audit_head;
    PERFORM mesh_outbox.send_governance_event(relation, 'GovernanceTopicEnabled', jsonb_build_object(
        'subject', 'mesh_outbox', 'by', (SELECT r.rolname FROM pg_roles r WHERE r.oid = mesh_outbox.caller()),
        'at', clock_timestamp(), 'audit_no', head.audit_no, 'audit_hash', encode(head.hash, 'hex')));
    RETURN relation;
END
$$;
COMMENT ON FUNCTION mesh_outbox.enable_governance_topic(text, text, int, jsonb) IS
    'has every change of the catalog told in a topic, in its own transaction, with the head of the audit record; returns the outbox, which drop_outbox switches off again; publisher NULL means the only one there is; topic and its settings are kept from the first time on; for administrators';

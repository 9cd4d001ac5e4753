-- The life of contracts is told as events, in the transaction of each change;
-- and a change of the version in force is announced within the topic.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS mesh_outbox CASCADE;
CREATE EXTENSION mesh_outbox;
SELECT count(mesh_outbox.set_policy(name, 'suspended')) > 0 AS suspended FROM mesh_outbox.policies;
RESET client_min_messages;
CREATE ROLE regress_admin IN ROLE mesh_outbox_admin;
CREATE ROLE regress_sales;
CREATE ROLE regress_shipping;
CREATE SCHEMA sales AUTHORIZATION regress_sales;

-- An administrator switches it on.  Without a publisher it is kept only.
SET ROLE regress_sales;
SELECT mesh_outbox.enable_governance_topic();
SET ROLE regress_admin;
SELECT mesh_outbox.enable_governance_topic();
SELECT mesh_outbox.enable_governance_topic();
SELECT outbox, product, publisher FROM mesh_outbox.outboxes;
SELECT event_type, version, status, enforcement, key, topic FROM mesh_outbox.contracts ORDER BY event_type COLLATE "C";
-- Not even he tells what did not happen.
INSERT INTO mesh_outbox.governance_outbox (event_type, payload) VALUES ('CatalogChanged', '{"subject": "x"}');

-- Scene two: OrderPlaced adds an optional discount_code.
SELECT mesh_outbox.create_domain('sales', owner => 'regress_sales', description => 'sales');
SELECT mesh_outbox.create_domain('shipping', owner => 'regress_shipping', description => 'parcels');
SET ROLE regress_sales;
SELECT mesh_outbox.create_product('sales.orders', purpose => 'orders');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/order_id', description => 'a customer ordered',
    schema => '{"type": "object", "properties": {"order_id": {"type": "string"}}, "required": ["order_id"]}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.0.0');
SET ROLE regress_shipping;
SELECT mesh_outbox.register_consumer('shipping', 'sales.orders', 'OrderPlaced', contact => 'parcels@example.org', needs => '{/order_id}');
SET ROLE regress_sales;
SELECT mesh_outbox.set_co_owners('sales.orders', '{shipping}');
SELECT mesh_outbox.register_consumer('reports', 'sales.orders', NULL, contact => 'no login here');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/order_id', description => 'with a discount',
    schema => '{"type": "object", "properties": {"order_id": {"type": "string"}, "discount_code": {"type": "string"}}, "required": ["order_id"]}');
SET ROLE regress_shipping;
SELECT mesh_outbox.object('shipping', 'sales.orders', 'OrderPlaced', '1.1.0', reason => 'in two weeks, please');
SELECT mesh_outbox.approve_contract('sales.orders', 'OrderPlaced', '1.1.0', 'shipping');
SET ROLE regress_sales;
SELECT mesh_outbox.override_objection('shipping', 'sales.orders', 'OrderPlaced', '1.1.0', reason => 'the campaign starts tomorrow');
SET ROLE regress_shipping;
SELECT mesh_outbox.acknowledge('shipping', 'sales.orders', 'OrderPlaced', '1.1.0');
SET ROLE regress_sales;
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.1.0');
SELECT mesh_outbox.set_enforcement('sales.orders', 'OrderPlaced', '1.1.0', 'observe', reason => 'roll-out');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/order_id', description => 'with two discounts',
    schema => '{"type": "object", "properties": {"order_id": {"type": "string"}, "discount_code": {"type": "string"}}, "required": ["order_id"]}');
SELECT mesh_outbox.withdraw_proposal('sales.orders', 'OrderPlaced', '1.2.0');
SELECT mesh_outbox.record_verification('reports', 'sales.orders', 'OrderPlaced', '1.1.0', passed => true, url => 'https://ci.example.org/7');
SELECT mesh_outbox.revert_contract('sales.orders', 'OrderPlaced', '1.1.0', reason => 'the campaign is over');
SELECT mesh_outbox.deprecate_contract('sales.orders', 'OrderPlaced', '1.0.0', sunset => '2100-01-01 00:00Z');
SELECT mesh_outbox.postpone_sunset('sales.orders', 'OrderPlaced', '1.0.0', sunset => '2100-07-01 00:00Z', reason => 'shipping is late');
SELECT mesh_outbox.retire_contract('sales.orders', 'OrderPlaced', '1.0.0', force_reason => 'the shop closes');
SELECT mesh_outbox.create_term('order_id', '{"type": "string"}', domain => 'sales', description => 'an order');
SELECT mesh_outbox.alter_term('order_id', description => 'an order''s number');
SELECT mesh_outbox.drop_term('order_id');
BEGIN;
SELECT mesh_outbox.create_product('sales.never', purpose => 'rolled back');
ROLLBACK;

-- What a consumer of the topic reads.
SET ROLE regress_admin;
SELECT event_type, key, payload - '{subject,at,audit_no,audit_hash}'::text[] AS told
FROM mesh_outbox.governance_outbox WHERE event_type <> 'CatalogChanged' ORDER BY payload -> 'audit_no';
-- Whatever else is audited is told without its values.
SELECT key, payload - '{subject,at,audit_no,audit_hash}'::text[] AS told
FROM mesh_outbox.governance_outbox
WHERE event_type = 'CatalogChanged' AND payload ->> 'object' IN ('domain', 'consumer') ORDER BY payload -> 'audit_no';
SELECT count(*) AS violations FROM mesh_outbox.violations WHERE product = 'mesh_outbox.governance';

-- Each event has the head of the audit record; all of them are its links.
SELECT count(*) > 30 AS many, count(*) = count(DISTINCT payload -> 'audit_no') AS a_link_each,
       bool_and(a.hash = payload ->> 'audit_hash') AS same
FROM mesh_outbox.governance_outbox JOIN mesh_outbox.audit_log a ON a.audit_no = (payload ->> 'audit_no')::bigint;
SELECT count(*) AS problems FROM mesh_outbox.verify_audit((SELECT jsonb_agg(payload) FROM mesh_outbox.governance_outbox));

-- A superuser writes the whole record anew: the chain is sound, but it is not
-- what the topic has.
CREATE TEMP TABLE published AS SELECT payload FROM mesh_outbox.governance_outbox;
RESET ROLE;
BEGIN;
ALTER TABLE mesh_outbox.audit DISABLE TRIGGER keep;
DO $$
DECLARE
    link mesh_outbox.audit;
    last bytea := '\x';
BEGIN
    FOR link IN SELECT * FROM mesh_outbox.audit ORDER BY audit_no LOOP
        link.actor := replace(link.actor, 'regress_shipping', 'regress_sales');
        link.previous_hash := last;
        link.hash := mesh_outbox.audit_hash(link);
        last := link.hash;
        UPDATE mesh_outbox.audit SET actor = link.actor, previous_hash = link.previous_hash, hash = link.hash
        WHERE audit_no = link.audit_no;
    END LOOP;
    UPDATE mesh_outbox.audit_head SET hash = last;
END
$$;
SELECT count(*) AS problems FROM mesh_outbox.verify_audit();
SELECT problem, count(*) > 20 AS many
FROM mesh_outbox.verify_audit((SELECT jsonb_agg(payload) FROM published)) GROUP BY problem;
ROLLBACK;
DROP TABLE published;

-- Only to a publisher that sees its events: a change that would go untold
-- is refused.
SELECT mesh_outbox.create_publisher('main', brokers => 'localhost:1', paused => true);
SELECT mesh_outbox.set_outbox_publisher('mesh_outbox.governance_outbox', 'main');

-- That nobody may insert into it is as it should be.
SELECT problem FROM mesh_outbox.doctor() WHERE object = 'outbox mesh_outbox.governance_outbox';

-- Switched off.
SELECT mesh_outbox.drop_outbox('mesh_outbox.governance_outbox', lose_events => true);
SELECT mesh_outbox.enable_governance_topic();

-- Control events, as they are in the WAL: one for each partition.
SET ROLE regress_sales;
SELECT mesh_outbox.create_product('sales.parcels', purpose => 'parcels', partitions => 2);
SELECT mesh_outbox.propose_contract('sales.parcels', 'Sent', key => '/id',
    description => 'a parcel was sent', schema => '{"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}');
SELECT mesh_outbox.activate_contract('sales.parcels', 'Sent', '1.0.0');
SELECT mesh_outbox.create_outbox('sales.parcels', product => 'sales.parcels', publisher => 'main');
RESET ROLE;
SELECT 'slot' AS made FROM pg_create_logical_replication_slot('regress_control', 'test_decoding');
CREATE FUNCTION control_events(OUT topic text, OUT partition int, OUT event_type text, OUT headers jsonb, OUT payload jsonb)
    RETURNS SETOF record LANGUAGE sql AS $$
    SELECT c.topic, m[2]::int, m[3], m[4]::jsonb, m[5]::jsonb
    FROM pg_logical_slot_get_changes('regress_control', NULL, NULL) WITH ORDINALITY l (lsn, xid, data, n),
         regexp_match(l.data, '^table mesh_outbox.control_event: INSERT: .* contract_id\[bigint\]:(\d+) partition\[integer\]:(\d+) '
                              'event_type\[text\]:''([^'']*)'' .* headers\[jsonb\]:''([^'']*)'' payload\[jsonb\]:''([^'']*)''') m
    JOIN mesh_outbox.contract c ON c.contract_id = m[1]::bigint
    ORDER BY l.n
$$;
SET ROLE regress_sales;
SELECT mesh_outbox.propose_contract('sales.parcels', 'Sent', key => '/id',
    description => 'a parcel was sent', schema => '{"type": "object", "properties": {"id": {"type": "string"}, "weight": {"type": "number"}}, "required": ["id"]}');
SELECT mesh_outbox.activate_contract('sales.parcels', 'Sent', '1.1.0');
RESET ROLE;
SELECT * FROM control_events();
SELECT count(*) AS left FROM mesh_outbox.control_event;
-- A new major has a topic of its own; the old one tells of it too.
SET ROLE regress_sales;
SELECT mesh_outbox.propose_contract('sales.parcels', 'Sent', key => '/id', version => '2.0.0',
    description => 'a parcel was sent', schema => '{"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}');
SELECT mesh_outbox.activate_contract('sales.parcels', 'Sent', '2.0.0');
-- What does not change the version in force is not announced.
SELECT mesh_outbox.deprecate_contract('sales.parcels', 'Sent', '1.1.0');
SELECT mesh_outbox.postpone_sunset('sales.parcels', 'Sent', '1.1.0', sunset => '2100-01-01', reason => 'no hurry');
-- A way back is.
SELECT mesh_outbox.revert_contract('sales.parcels', 'Sent', '1.1.0', reason => 'too heavy');
SELECT mesh_outbox.retire_contract('sales.parcels', 'Sent', '1.0.0', force_reason => 'nobody needs it');
RESET ROLE;
SELECT * FROM control_events();
-- Nobody writes one by himself.
SET ROLE regress_admin;
INSERT INTO mesh_outbox.control_event VALUES (gen_random_uuid(), 1, 1, 0, 'x', now(), now(), '{}', '{}');
SELECT mesh_outbox.wake_publisher(1);
RESET ROLE;

SELECT 'slot' AS gone FROM pg_drop_replication_slot('regress_control');
DROP FUNCTION control_events;
SELECT mesh_outbox.drop_outbox('sales.parcels');
DROP EXTENSION mesh_outbox;
DROP SCHEMA sales CASCADE;
DROP ROLE regress_admin, regress_sales, regress_shipping;

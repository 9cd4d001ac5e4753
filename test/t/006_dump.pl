# pg_dump and restore: the same catalog, outboxes that still check, and
# publishers that stay paused until somebody starts them in the new place.

use strict;
use warnings FATAL => 'all';

use MeshOutbox::Test;
use Test::More;

my $node = new_node('main');
my $dump = $node->basedir . '/dump.sql';

$node->safe_psql('postgres', q(
	CREATE ROLE "the owner" LOGIN;
	CREATE ROLE app LOGIN;
	CREATE SCHEMA sales AUTHORIZATION "the owner";
	GRANT USAGE ON SCHEMA sales TO app;
	CREATE EXTENSION IF NOT EXISTS mesh_outbox;
	SELECT mesh_outbox.enable_governance_topic();
	SELECT mesh_outbox.create_publisher('dumped', brokers => 'localhost:1', options => '{"linger.ms": 1}', paused => true);
	SELECT mesh_outbox.create_domain('sales', owner => 'the owner', description => 'it''s ours');
	SET ROLE "the owner";
	SELECT mesh_outbox.create_product('sales.orders', purpose => 'orders', partitions => 3);
	SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/id',
		schema => '{"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}');
	SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.0.0');
	SELECT mesh_outbox.create_term('word', '{"type": "string"}', domain => 'sales', description => 'a word', reserved => false);
	SELECT mesh_outbox.register_consumer('reader', 'sales.orders', 'OrderPlaced', contact => 'x', needs => '{/id}');
	SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/id',
		schema => '{"type": "object", "properties": {"id": {"type": "integer"}, "note": {"type": "string"}}, "required": ["id"]}');
	SELECT mesh_outbox.create_outbox('sales."The Outbox"', product => 'sales.orders', publisher => 'dumped');
	CREATE TABLE sales.parted (kind text, body jsonb, created_at timestamptz DEFAULT now()) PARTITION BY RANGE (created_at);
	CREATE TABLE sales.parted_1 PARTITION OF sales.parted DEFAULT;
	SELECT mesh_outbox.attach_outbox('sales.parted', product => 'sales.orders', publisher => 'dumped',
		columns => '{"event_type": "kind", "payload": "body"}');
	SELECT mesh_outbox.set_outbox_publisher('sales.parted', NULL);
	SELECT mesh_outbox.grant_publish('sales.orders', 'app', until => now() + interval '1 year');
	SELECT mesh_outbox.grant_consume('sales.orders', 'reader');
	SELECT mesh_outbox.request_access('sales.orders', reason => 'why not', consumer => 'sales');
	SELECT mesh_outbox.assign_duty('accountable', 'Ada', product => 'sales.orders');
	SELECT mesh_outbox.assign_duty('consulted', 'Ada', term => 'word');
	SELECT mesh_outbox.create_product('sales.revenue', purpose => 'sums');
	SELECT mesh_outbox.set_inputs('sales.revenue', '{sales.orders}');
	SELECT mesh_outbox.alter_product('sales.orders', latency => '5 s', quality => '{"events_per_day": 1}', access => 'on request');
	SELECT mesh_outbox.set_review('sales.orders', 'OrderPlaced', due => current_date + 30, note => 'fine');
	INSERT INTO sales.parted (kind, body) VALUES ('OrderPlaced', '{"id": 1}');
));

# What people see of the configuration, and of the tables it describes.
my $catalog = q(
	SELECT * FROM mesh_outbox.domains ORDER BY 1;
	SELECT * FROM mesh_outbox.products ORDER BY 1;
	SELECT * FROM mesh_outbox.contracts ORDER BY contract_id;
	SELECT * FROM mesh_outbox.outboxes ORDER BY outbox_id;
	SELECT * FROM mesh_outbox.access_rights;
	SELECT * FROM mesh_outbox.access_requests;
	SELECT * FROM mesh_outbox.responsibilities ORDER BY 1, 2, 3, 4;
	SELECT * FROM mesh_outbox.co_owners ORDER BY 1, 2;
	SELECT * FROM mesh_outbox.approvals ORDER BY 1, 2, 3, 5;
	SELECT * FROM mesh_outbox.product_inputs ORDER BY 1, 2;
	SELECT * FROM mesh_outbox.reviews ORDER BY 1, 2;
	SELECT * FROM mesh_outbox.consumers ORDER BY 1, 2, 3;
	SELECT * FROM mesh_outbox.findings;
	SELECT * FROM mesh_outbox.notifications ORDER BY 1;
	SELECT * FROM mesh_outbox.verifications ORDER BY 1, 2;
	SELECT * FROM mesh_outbox.change_rules ORDER BY 1;
	SELECT * FROM mesh_outbox.enforcement_caps;
	SELECT * FROM mesh_outbox.terms ORDER BY 1;
	SELECT name, options, publisher_id, brokers, created_at FROM mesh_outbox.publishers ORDER BY 1;
	SELECT c.oid::regclass, c.relowner::regrole, c.relacl FROM pg_class c
		WHERE c.relnamespace = 'sales'::regnamespace ORDER BY c.oid::regclass::text;
	SELECT t.tgrelid::regclass, t.tgname, t.tgenabled, t.tgargs FROM pg_trigger t
		WHERE NOT t.tgisinternal AND t.tgrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'sales'::regnamespace)
		ORDER BY t.tgrelid::regclass::text, t.tgname;
	SELECT event_id, kind, body, key, contract_id, created_at FROM sales.parted;
	SELECT event_id, event_type, payload FROM mesh_outbox.governance_outbox ORDER BY event_id;
);
my $before = $node->safe_psql('postgres', $catalog);
isnt($before, '', 'there is a catalog');

$node->command_ok([ 'pg_dump', '--file', $dump, $node->connstr('postgres') ], 'dumped');
$node->safe_psql('postgres', q(CREATE DATABASE restored TEMPLATE template0 ENCODING 'UTF8'));
$node->command_ok([ 'psql', '--no-psqlrc', '--quiet', '--set', 'ON_ERROR_STOP=1', '--file', $dump,
	'--dbname', $node->connstr('restored') ], 'restored into another database');
is($node->safe_psql('restored', $catalog), $before, 'the catalog is the same');

is($node->safe_psql('restored', q(SELECT paused, state FROM mesh_outbox.publishers)), 't|paused',
	'the publisher is paused there');
my ($rc, undef, $err) = $node->psql('restored',
	q(INSERT INTO sales."The Outbox" (event_type, payload) VALUES ('OrderPlaced', '{"id": 2}')));
isnt($rc, 0, 'its outbox takes no event that would not be published');
like($err, qr/resume_publisher/, 'and names the way out');
($rc, undef, $err) = $node->psql('restored',
	q(INSERT INTO sales.parted (kind, body) VALUES ('OrderPlaced', '{"id": "x"}')));
isnt($rc, 0, 'an outbox still checks');
is($node->safe_psql('restored', q(
	SET ROLE app;
	INSERT INTO sales.parted (kind, body) VALUES ('OrderPlaced', '{"id": 2}');
	RESET ROLE;
	SELECT count(*) FROM sales.parted)), 2, 'and accepts');

note 'ids go on where they were';
is($node->safe_psql('restored', q(
	SELECT mesh_outbox.propose_contract('sales.orders', 'OrderGone', key => '/id',
		schema => '{"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}'))),
	'1.0.0', 'a new contract');
is($node->safe_psql('restored', q(
	SELECT contract_id > (SELECT max(contract_id) FROM mesh_outbox.contracts WHERE event_type = 'OrderPlaced')
	FROM mesh_outbox.contracts WHERE event_type = 'OrderGone')), 't', 'with an id of its own');

note 'what happens there is told there';
is($node->safe_psql('restored', q(
	SELECT event_type, payload ->> 'event_type' FROM mesh_outbox.governance_outbox
	ORDER BY created_at DESC LIMIT 1)), 'ContractProposed|OrderGone', 'the proposal, and nothing of the restore');

note 'a role that owns a restored domain is protected there too';
$node->safe_psql('postgres', q(
	SELECT mesh_outbox.drop_outbox('sales."The Outbox"');
	SELECT mesh_outbox.drop_outbox('sales.parted', lose_events => true);
	SELECT mesh_outbox.drop_outbox('mesh_outbox.governance_outbox', lose_events => true);
	DROP EXTENSION mesh_outbox;
	DROP SCHEMA sales CASCADE;
));
($rc, undef, $err) = $node->psql('postgres', q(DROP ROLE "the owner"));
isnt($rc, 0, 'not dropped');
like($err, qr/depend/, 'because something depends on it');

done_testing();

# pg_dump and restore, and pg_upgrade: the same catalog, outboxes that still
# check, and publishers that stay paused until somebody starts them in the new
# place.  What is compared is taken from the catalog, so a table or view that
# is added is compared as well, or has to be named here with the reason.

use strict;
use warnings FATAL => 'all';

use MeshOutbox::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main');
my $dump = $node->basedir . '/dump.sql';
my $object = q("type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]);

# A row in every table that is configuration.
$node->safe_psql('postgres', qq(
	CREATE ROLE "the owner" LOGIN;
	CREATE ROLE app LOGIN;
	CREATE ROLE crm LOGIN;
	CREATE SCHEMA sales AUTHORIZATION "the owner";
	GRANT USAGE ON SCHEMA sales TO app;
	SELECT mesh_outbox.create_publisher('running', brokers => 'embedded');
	SELECT mesh_outbox.wait_ready('running', '5 min');
	SELECT mesh_outbox.create_publisher('dumped', brokers => 'localhost:1', options => '{"linger.ms": 1}', paused => true);
	SELECT mesh_outbox.enable_governance_topic(publisher => 'running');
	SELECT mesh_outbox.create_domain('sales', owner => 'the owner', description => 'it''s ours');
	SELECT mesh_outbox.create_domain('crm', owner => 'crm', description => 'customers');
	CREATE FUNCTION sales.agrees(contract jsonb) RETURNS TABLE (severity text, path text, message text)
		LANGUAGE sql STABLE AS 'SELECT ''warning'', '''', ''none'' WHERE false';
	SELECT mesh_outbox.create_policy('agreed', 'sales.agrees', description => 'always');
	SELECT mesh_outbox.set_policy('described', 'trial');
	SELECT mesh_outbox.register_schema('https://example.org/id', '{"type": "integer"}');
	SET ROLE "the owner";
	SELECT mesh_outbox.create_product('sales.raw', purpose => 'what came in');
	SELECT mesh_outbox.create_product('sales.orders', purpose => 'orders', partitions => 3);
	SELECT mesh_outbox.set_inputs('sales.orders', '{sales.raw}');
	SELECT mesh_outbox.assign_duty('accountable', 'Ada', product => 'sales.orders');
	SELECT mesh_outbox.set_change_rules('sales.orders', notice => '1 day');
	SELECT mesh_outbox.create_term('word', '{"type": "string"}', domain => 'sales', description => 'a word');
	SELECT mesh_outbox.create_term_type('word', 'sales.word');
	CREATE TABLE sales.words (word sales.word, other text);
	SELECT mesh_outbox.map_term('word', 'sales.words', 'other');
	RESET ROLE;
	SELECT mesh_outbox.reserve_term('word');
	SELECT mesh_outbox.grant_term_exception('word', 'sales.raw', reason => 'older', until => current_date + 30);
	SET ROLE "the owner";
	SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/id', description => 'somebody bought',
		schema => '{$object}');
	SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.0.0');
	SELECT mesh_outbox.set_review('sales.orders', 'OrderPlaced', due => current_date + 30);
	SELECT mesh_outbox.register_consumer('reader', 'sales.orders', 'OrderPlaced', contact => 'x', needs => '{/id}');
	SELECT mesh_outbox.grant_consume('sales.orders', 'crm');
	SELECT mesh_outbox.set_co_owners('sales.orders', '{crm}');
	SET ROLE crm;
	SELECT mesh_outbox.request_access('sales.orders', reason => 'we would like to');
	SET ROLE "the owner";
	SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/id', description => 'somebody bought',
		schema => '{"type": "object", "properties": {"id": {"type": "integer"}, "note": {"type": "string"}}, "required": ["id"]}');
	SELECT mesh_outbox.record_verification('reader', 'sales.orders', 'OrderPlaced', '1.1.0', passed => true);
	SET ROLE crm;
	SELECT mesh_outbox.approve_contract('sales.orders', 'OrderPlaced', '1.1.0', 'crm');
	SET ROLE "the owner";
	SELECT mesh_outbox.create_outbox('sales."The Outbox"', product => 'sales.orders', publisher => 'running');
	CREATE TABLE sales.parted (kind text, body jsonb, created_at timestamptz DEFAULT now()) PARTITION BY RANGE (created_at);
	CREATE TABLE sales.parted_1 PARTITION OF sales.parted DEFAULT;
	SELECT mesh_outbox.attach_outbox('sales.parted', product => 'sales.orders', publisher => 'dumped',
		columns => '{"event_type": "kind", "payload": "body"}');
	SELECT mesh_outbox.set_outbox_publisher('sales.parted', NULL);
	SELECT mesh_outbox.grant_publish('sales.orders', 'app');
	SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/id', description => 'somebody bought',
		version => '2.0.0', schema => '{$object}');
	CREATE FUNCTION sales.as_v1(payload jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS 'SELECT payload';
	SELECT mesh_outbox.register_conversion('sales.orders', 'OrderPlaced', 2, 1, 'sales.as_v1');
	INSERT INTO sales.parted (kind, body) VALUES ('OrderPlaced', '{"id": 1}');
	INSERT INTO sales."The Outbox" (event_type, payload) VALUES ('OrderPlaced', '{"id": 1}');
	RESET ROLE;
	SELECT mesh_outbox.cap_enforcement('observe', reason => 'an emergency');
));
ok(wait_published($node, undef, 'running'), 'published');

# What belongs to one server's WAL or life, or is made from the rest, and stays
# out of dumps.
my %of_this_server = map { $_ => 1 } qw(
  progress batch dead_letter publisher_event control_event audit audit_head
  batches dead_letters publisher_events audit_log violations violated_rules refusals
  search_entry search_field purge purges);

# What people see of the configuration, and of the tables it describes, as
# pairs of a name and a query.
sub catalog_queries
{
	my ($db, $on) = @_;
	my @queries;
	foreach my $row (split /\n/, $on->safe_psql($db, q(
		SELECT c.relname, c.relkind, c.oid = ANY (e.extconfig)
		FROM pg_extension e, pg_class c
		WHERE e.extname = 'mesh_outbox' AND c.relnamespace = 'mesh_outbox'::regnamespace
		  AND c.relkind IN ('r', 'v')
		  AND EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.refobjid = e.oid AND d.deptype = 'e')
		ORDER BY 1)))
	{
		my ($name, $kind, $config) = split /\|/, $row;
		next if $of_this_server{$name};
		is($config, 't', "table $name is in dumps") if $kind eq 'r';
		# how a publisher is, here and now, is another matter than what it
		# is; and the policies that are shipped are as old as the extension
		my $row_of = $name eq 'publishers'
		  ? q(SELECT jsonb_build_object('name', name, 'options', options, 'id', publisher_id))
		  : $name =~ /^polic(y|ies)$/ ? q(SELECT to_jsonb(p) - 'created_at')
		  : 'SELECT to_jsonb(p)';
		push @queries, [ $name, "$row_of FROM mesh_outbox.\"$name\" p ORDER BY 1" ];
	}
	return (@queries,
		[ 'tables', q(SELECT c.oid::regclass, c.relowner::regrole, c.relacl FROM pg_class c
			WHERE c.relnamespace = 'sales'::regnamespace ORDER BY c.oid::regclass::text) ],
		[ 'triggers', q(SELECT t.tgrelid::regclass, t.tgname, t.tgenabled, t.tgargs FROM pg_trigger t
			WHERE t.tgfoid IN ('mesh_outbox.check_event'::regproc, 'mesh_outbox.convert_event'::regproc)
			ORDER BY t.tgrelid::regclass::text, t.tgname) ],
		[ 'governance events', 'SELECT event_id, event_type, payload FROM mesh_outbox.governance_outbox ORDER BY event_id' ],
		[ 'rows', 'SELECT event_id, kind, body, key, contract_id, created_at FROM sales.parted' ]);
}

sub catalog
{
	my ($db, $on) = @_;
	return { map { $_->[0] => $on->safe_psql($db, $_->[1]) } catalog_queries($db, $on) };
}

sub same_catalog
{
	my ($db, $on, $before, $how) = @_;
	my $after = catalog($db, $on);
	is_deeply([ sort keys %$after ], [ sort keys %$before ], "$how: the same tables and views");
	is($after->{$_}, $before->{$_}, "$how: $_") foreach sort keys %$before;
	return;
}

my $before = catalog('postgres', $node);
isnt($before->{$_}, '', "there is something in $_") foreach sort keys %$before;

is($node->safe_psql('postgres', q(
	SELECT s.objid::regclass FROM pg_extension e, pg_depend s
	WHERE e.extname = 'mesh_outbox' AND s.refobjid = ANY (e.extconfig) AND s.deptype = 'i' AND s.classid = 'pg_class'::regclass
	  AND s.objid <> ALL (e.extconfig) AND (SELECT c.relkind FROM pg_class c WHERE c.oid = s.objid) = 'S')), '',
	'so do the sequences of what is dumped');

note 'dumped and restored into another database';
$node->command_ok([ 'pg_dump', '--file', $dump, $node->connstr('postgres') ], 'dumped');
$node->safe_psql('postgres', q(CREATE DATABASE restored TEMPLATE template0 ENCODING 'UTF8'));
$node->command_ok([ 'psql', '--no-psqlrc', '--quiet', '--set', 'ON_ERROR_STOP=1', '--file', $dump,
	'--dbname', $node->connstr('restored') ], 'restored into another database');
same_catalog('restored', $node, $before, 'restored');

# The publishers are paused in the new place, the outboxes accept nothing that
# would not be published, and go on checking.
sub lives_on
{
	my ($db, $on, $how) = @_;
	is($on->safe_psql($db, q(SELECT DISTINCT paused, state FROM mesh_outbox.publishers)), 't|paused',
		"$how: the publishers are paused");
	sql_fails($on, q(INSERT INTO sales."The Outbox" (event_type, payload) VALUES ('OrderPlaced', '{"id": 2}')),
		qr/resume_publisher/, "$how: an event that would not be published", db => $db);
	sql_fails($on, q(DROP TABLE sales."The Outbox"), qr/drop_outbox/, "$how: an outbox in passing", db => $db);
	is($on->safe_psql($db, q(
		SET ROLE app;
		INSERT INTO sales.parted (kind, body) VALUES ('OrderPlaced', '{"id": 2}');
		RESET ROLE;
		SELECT count(*) FROM sales.parted)), 2, "$how: an outbox accepts");
	$on->safe_psql($db, q(SELECT mesh_outbox.resume_publisher('running')));
	ok(wait_ready($on, 'running', $db), "$how: resumed");
	$on->safe_psql($db, q(INSERT INTO sales."The Outbox" (event_type, payload) VALUES ('OrderPlaced', '{"id": 2}')));
	ok(wait_published($on, $db, 'running'), "$how: publishes");
	$on->safe_psql($db, q(SELECT mesh_outbox.cap_enforcement('enforce', reason => 'over')));
	sql_fails($on, q(INSERT INTO sales.parted (kind, body) VALUES ('OrderPlaced', '{"id": "x"}')),
		qr/breaks contract/, "$how: an event that breaks its contract", db => $db);
	is($on->safe_psql($db, q(
		SELECT mesh_outbox.propose_contract('sales.orders', 'OrderGone', key => '/id', description => 'x',
			schema => '{"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}'))),
		'1.0.0', "$how: a new contract");
	is($on->safe_psql($db, q(
		SELECT event_type, payload ->> 'event_type' FROM mesh_outbox.governance_outbox ORDER BY created_at DESC LIMIT 1)),
		'ContractProposed|OrderGone', "$how: which the governance topic is told, and nothing of the restore");
	is($on->safe_psql($db, q(
		SELECT contract_id > (SELECT max(contract_id) FROM mesh_outbox.contracts WHERE event_type = 'OrderPlaced')
		FROM mesh_outbox.contracts WHERE event_type = 'OrderGone')), 't', "$how: with an id of its own");
	return;
}
lives_on('restored', $node, 'restored');

note 'upgraded';
$node->safe_psql('postgres', 'DROP DATABASE restored');
my $bin = $node->config_data('--bindir');
my $new = PostgreSQL::Test::Cluster->new('upgraded');
$new->init(allows_streaming => 'logical', extra => [ '--encoding=UTF8', '--locale=C' ]);
configure($new);
# As README says: from 17 on pg_upgrade takes slots along, but only those behind
# which nothing was committed, and a publisher commits how far it has come.
$node->stop;
$node->append_conf('postgresql.conf', q(shared_preload_libraries = ''));
$node->start;
is($node->safe_psql('postgres', q(SELECT count(pg_drop_replication_slot(slot_name))
	FROM pg_replication_slots WHERE plugin = 'mesh_outbox')), 1, 'its slot is dropped');
$node->stop;
$node->append_conf('postgresql.conf', q(shared_preload_libraries = 'mesh_outbox'));
chdir $new->basedir or die;
command_ok([ 'pg_upgrade', '--no-sync', '-b', $bin, '-B', $bin, '-d', $node->data_dir, '-D', $new->data_dir,
	'-s', $new->host, '-p', $node->port, '-P', $new->port ], 'pg_upgrade');
$new->start;
same_catalog('postgres', $new, $before, 'upgraded');
lives_on('postgres', $new, 'upgraded');

note 'restored over itself';
$dump = $new->basedir . '/dump.custom';
$new->command_ok([ 'pg_dump', '--format=custom', '--file', $dump, $new->connstr('postgres') ], 'dumped');
my @restore = ('pg_restore', '--clean', '--if-exists', '--single-transaction', '--dbname', $new->connstr('postgres'), $dump);
command_fails_like(\@restore, qr/cannot drop .*outbox.*protect_outboxes = off/s, 'outboxes are not cleaned away');
{
	local $ENV{PGOPTIONS} = '-c mesh_outbox.protect_outboxes=off';
	command_ok(\@restore, 'unless that is said');
}
is($new->safe_psql('postgres', 'SELECT count(*) FROM mesh_outbox.outboxes WHERE missing'), 0, 'and they are back');

note 'a role that owns a domain is protected there too';
$new->safe_psql('postgres', q(
	SELECT mesh_outbox.drop_outbox('sales."The Outbox"', lose_events => true);
	SELECT mesh_outbox.drop_outbox('sales.parted', lose_events => true);
	SELECT mesh_outbox.drop_policy('agreed');
	DROP SCHEMA sales CASCADE;
));
sql_fails($new, q(DROP ROLE "the owner"), qr/depend/, 'not dropped');

done_testing();

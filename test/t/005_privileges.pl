# Who may do what: administrators, the domain's role, everybody else.

use strict;
use warnings FATAL => 'all';

use MeshOutbox::Test;
use Test::More;

my $node = new_node('main');
create_publisher($node, 'embedded');
$node->safe_psql('postgres', q(
	CREATE ROLE sales_owner LOGIN;
	CREATE ROLE shipping_owner LOGIN;
	CREATE ROLE admin LOGIN IN ROLE mesh_outbox_admin;
	CREATE ROLE nobody LOGIN;
	CREATE ROLE app LOGIN;
	CREATE SCHEMA sales AUTHORIZATION sales_owner;
	CREATE SCHEMA shipping AUTHORIZATION shipping_owner;
	GRANT USAGE ON SCHEMA sales TO app, nobody;
	SELECT mesh_outbox.create_domain('sales', owner => 'sales_owner', description => 'sales');
	SELECT mesh_outbox.create_domain('shipping', owner => 'shipping_owner', description => 'shipping');
));

sub as
{
	my ($role, $sql) = @_;
	return $node->psql('postgres', $sql, on_error_stop => 1,
		extra_params => [ '-U', $role, '-v', 'VERBOSITY=verbose' ]);
}

sub allowed
{
	my ($role, $name, $sql) = @_;
	my ($rc, undef, $err) = as($role, $sql);
	is($rc, 0, "$role may $name") or diag($err);
	return;
}

sub denied
{
	my ($role, $name, $sql, $pattern) = @_;
	my ($rc, undef, $err) = as($role, $sql);
	isnt($rc, 0, "$role may not $name");
	like($err, $pattern // qr/42501|permission denied/, "$role may not $name: for lack of privilege");
	return;
}

my $product = q(SELECT mesh_outbox.create_product('sales.orders', purpose => 'p', topic => 'sales.orders', partitions => 1));
my $propose = qq(SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced',
	schema => \$s\$$MeshOutbox::Test::SCHEMA\$s\$, key => '/id', version => '1.0.0', description => 'a customer placed an order'));
my $activate = q(SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.0.0'));
my $outbox = q(SELECT mesh_outbox.create_outbox('sales.outbox', product => 'sales.orders'));

note 'the domain\'s own business';
denied('shipping_owner', 'create another domain\'s product', $product);
denied('nobody', 'create a product', $product);
allowed('sales_owner', 'create its product', $product);
denied('shipping_owner', 'propose a contract of another\'s product', $propose);
allowed('sales_owner', 'propose a contract', $propose);
denied('shipping_owner', 'activate it', $activate);
allowed('sales_owner', 'activate it', $activate);
denied('shipping_owner', 'create an outbox of another\'s product', $outbox);
allowed('sales_owner', 'create an outbox', $outbox);

note 'what an owner cannot do to events';
allowed('sales_owner', 'insert', emit_sql('o1', 1));
allowed('sales_owner', 'read', 'SELECT * FROM sales.outbox');
denied('sales_owner', 'update', q(UPDATE sales.outbox SET key = 'x'));
denied('sales_owner', 'delete', 'DELETE FROM sales.outbox');
denied('sales_owner', 'truncate', 'TRUNCATE sales.outbox');
denied('sales_owner', 'disable the check', 'ALTER TABLE sales.outbox DISABLE TRIGGER ALL', qr/must be owner/);
denied('sales_owner', 'drop the trigger', 'DROP TRIGGER mesh_outbox_check ON sales.outbox', qr/must be owner/);
denied('sales_owner', 'become the owner of outboxes', 'SET ROLE mesh_outbox_owner');
denied('sales_owner', 'skip triggers', q(SET session_replication_role = replica));
denied('sales_owner', 'make an outbox of their own',
	q(CREATE TABLE sales.own (LIKE sales.outbox);
	CREATE TRIGGER t BEFORE INSERT ON sales.own FOR EACH ROW EXECUTE FUNCTION mesh_outbox.check_event('1', '1')));
denied('app', 'insert without a grant', emit_sql('o2', 1));
denied('sales_owner', 'change a superuser\'s events', q(SELECT mesh_outbox.drop_outbox('sales.nowhere')), qr/does not exist/);

note 'administrators only';
my @admin = (
	[ 'create a publisher', q(SELECT mesh_outbox.create_publisher('p', brokers => 'localhost:1', paused => true)) ],
	[ 'alter a publisher', q(SELECT mesh_outbox.alter_publisher('p', options => '{"linger.ms": "2"}')) ],
	[ 'pause a publisher', q(SELECT mesh_outbox.pause_publisher('main', reason => 'r')) ],
	[ 'resume a publisher', q(SELECT mesh_outbox.resume_publisher('main')) ],
	[ 'drop a publisher', q(SELECT mesh_outbox.drop_publisher('p')) ],
	[ 'create a domain', q(SELECT mesh_outbox.create_domain('d', owner => 'nobody', description => 'd')) ],
);
foreach (@admin)
{
	my ($name, $sql) = @$_;
	denied('sales_owner', $name, $sql);
	denied('nobody', $name, $sql);
	allowed('admin', $name, $sql);
}

note 'tables behind the functions';
foreach my $table (qw(domain publisher product contract outbox progress batch dead_letter publisher_event))
{
	denied('sales_owner', "write $table", "DELETE FROM mesh_outbox.$table");
	denied('admin', "write $table", "DELETE FROM mesh_outbox.$table");
}
is($node->safe_psql('postgres', q(SELECT count(*) FROM mesh_outbox.publishers), extra_params => [ '-U', 'nobody' ]), '0',
	'nobody sees no publishers');

note 'every SECURITY DEFINER function pins its search_path';
is($node->safe_psql('postgres', q(
	SELECT string_agg(p.oid::regprocedure::text, ', ') FROM pg_proc p
	WHERE pronamespace = 'mesh_outbox'::regnamespace AND prosecdef
	  AND NOT coalesce(proconfig, '{}') @> ARRAY['search_path=pg_catalog, pg_temp'])), '', 'all of them');

note 'every object says what it is for';
is($node->safe_psql('postgres', q(
	SELECT string_agg(pg_describe_object(classid, objid, 0), ', ') FROM pg_depend
	WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
	  AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'mesh_outbox')
	  AND classid IN ('pg_proc'::regclass, 'pg_class'::regclass)
	  AND NOT (classid = 'pg_class'::regclass AND objid IN (SELECT oid FROM pg_class WHERE relkind IN ('S', 'i')))
	  AND obj_description(objid, classid::regclass::text) IS NULL)), '', 'all of them');

note 'a slot for the plugin is nobody else\'s';
sql_fails($node, q(SELECT pg_create_logical_replication_slot('thief', 'mesh_outbox')), qr/mesh_outbox/,
	'another slot with our plugin');

done_testing();

# What doctor() says of publishers as they run, stop, wait and lose their slot,
# and that what a product promises is measured by what was published.

use strict;
use warnings FATAL => 'all';

use MeshOutbox::Test;
use Test::More;

my $node = new_node('main');

# Rows of one kind as "severity: problem", a line each; notices are about
# duties, and no business of ours.
sub doctor
{
	my ($object) = @_;
	return $node->safe_psql('postgres', qq(
		SELECT severity || ': ' || problem || ' -> ' || remedy FROM mesh_outbox.doctor()
		WHERE object LIKE '$object' AND severity <> 'notice'));
}

create_publisher($node, 'embedded');
simple_outbox($node);
ok(until_true('streaming', sub { status($node)->{state} eq 'streaming' }), 'streaming');
is(doctor('%'), '', 'where all is well, nothing is said');

emit($node, first => 1);
ok(wait_published($node), 'published');
$node->safe_psql('postgres', q(
	SELECT mesh_outbox.alter_product('sales.orders', latency => '1 hour', freshness => '1 hour',
		quality => '{"events_per_day": 1, "null_rate": {"/n": 0}}')));
ok(until_true('the ledger is written', sub {
	$node->safe_psql('postgres', 'SELECT count(*) > 0 FROM mesh_outbox.batches') eq 't' }), 'a ledger');
is($node->safe_psql('postgres', q(SELECT string_agg(promise, ', ' ORDER BY promise) FROM mesh_outbox.measure_product('sales.orders') WHERE kept)),
	'events per day, freshness, latency, null rate at /n', 'what is promised is kept');
is($node->safe_psql('postgres', q(SELECT events || ' ' || enforced_share FROM mesh_outbox.maturity() WHERE domain = 'sales')),
	'1 1.000', 'and events are enforced');

$node->safe_psql('postgres', q(
	CREATE ROLE watcher LOGIN IN ROLE pg_monitor;
	CREATE ROLE stranger LOGIN;
	SELECT mesh_outbox.pause_publisher('main', reason => 'lunch')));
ok(wait_state($node, 'paused'), 'paused');
like(doctor('publisher main'), qr/^warning: it is paused; lunch -> SELECT mesh_outbox.resume_publisher\('main'\);$/,
	'a pause is told, with its reason and end');
is($node->safe_psql('postgres', q(SELECT count(*) FROM mesh_outbox.doctor() WHERE object = 'publisher main'),
	extra_params => [ '-U', 'watcher' ]), 1, 'pg_monitor is told');
is($node->safe_psql('postgres', q(SELECT count(*) FROM mesh_outbox.doctor()), extra_params => [ '-U', 'stranger' ]), 0,
	'others are not');

# The remedy is SQL that mends it.
$node->safe_psql('postgres', $node->safe_psql('postgres',
	q(SELECT remedy FROM mesh_outbox.doctor() WHERE object = 'publisher main')));
ok(until_true('streaming', sub { status($node)->{state} eq 'streaming' }), 'resumed as it says');

note 'no broker';
$node->safe_psql('postgres', q(SELECT mesh_outbox.alter_publisher('main', brokers => 'localhost:1')));
ok(wait_state($node, 'waiting for broker'), 'waits');
like(doctor('publisher main'), qr/^warning: it is waiting for broker; .* goes on by itself/, 'that needs nobody');

note 'not loaded, and the slot dropped';
my $slot = $node->safe_psql('postgres', 'SELECT slot_name FROM pg_replication_slots');
without_workers($node, sub {
	like(doctor('server'), qr/^error: mesh_outbox is not loaded .* shared_preload_libraries = 'mesh_outbox';/,
		'a library that is not loaded is told');
	$node->append_conf('postgresql.conf', q(shared_preload_libraries = '$libdir/auto_explain, "passwordcheck"'));
	$node->restart;
	$node->safe_psql('postgres', $node->safe_psql('postgres', q(SELECT remedy FROM mesh_outbox.doctor() WHERE object = 'server')));
	$node->safe_psql('postgres', "SELECT pg_drop_replication_slot('$slot')");
	like(doctor('publisher main'), qr/^error: its replication slot $slot is gone/, 'and a slot that is gone');
});
is($node->safe_psql('postgres', 'SHOW shared_preload_libraries'), '"$libdir/auto_explain", passwordcheck, mesh_outbox',
	'beside what was there');
is(doctor('server'), '', 'loaded again');
like(doctor('publisher main'), qr/^error: /m, 'the slot is still gone');

done_testing();

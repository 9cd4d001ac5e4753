# Many of everything: two publishers to two clusters, two databases in one
# server, a hundred outboxes.

use strict;
use warnings FATAL => 'all';

use MeshOutbox::Test;
use Test::More;

my $one = start_kafka();
my $two = start_kafka();
my $node = new_node('main');

note 'two publishers to two clusters';
create_publisher($node, $one, name => 'one');
create_publisher($node, $two, name => 'two');
$node->safe_psql('postgres', q(
	CREATE SCHEMA sales;
	SELECT mesh_outbox.create_domain('sales', owner => current_user, description => 'sales')));
extra_outbox($node, 'sales.orders', 'sales.outbox', publisher => 'one');
extra_outbox($node, 'sales.returns', 'sales.returns', publisher => 'two');
foreach (1 .. 20)
{
	$node->safe_psql('postgres', join(';', 'BEGIN', emit_sql("o$_", $_),
		emit_sql("r$_", $_, 'sales.returns'), 'COMMIT'));
}
ok(wait_published($node), 'published by both');
is_deeply([ sort(values_of(consume($one, 'sales.orders'))) ], [ sort map { "o$_" } 1 .. 20 ], 'one to one cluster');
is_deeply([ sort(values_of(consume($two, 'sales.returns'))) ], [ sort map { "r$_" } 1 .. 20 ], 'the other to the other');

note 'one cluster away does not hold the other up';
kafka('signal', $two, 1, 'KILL');
$node->safe_psql('postgres', join(';', 'BEGIN', emit_sql('o21', 1), emit_sql('r21', 1, 'sales.returns'), 'COMMIT'));
ok(wait_published($node, undef, 'one'),
	'the publisher whose cluster is there goes on');
kafka('up', $two);
ok(wait_published($node), 'the other one later');

note 'an outbox moves to the other publisher, in order';
$node->safe_psql('postgres', q(SELECT mesh_outbox.set_outbox_publisher('sales.outbox', 'two')));
$node->safe_psql('postgres', emit_sql('o22', 1));
ok(wait_published($node), 'published');
is_deeply([ values_of(consume($two, 'sales.orders')) ], ['o22'], 'by the other one from then on');

note 'a version announced by both, each where it publishes';
$node->safe_psql('postgres', q(
	SELECT mesh_outbox.create_outbox('sales.outbox_one', product => 'sales.orders', publisher => 'one');
	SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/id', version => '1.1.0',
		schema => (SELECT (c.schema || '{"description": "as before"}')::json FROM mesh_outbox.contracts c
			WHERE c.product = 'sales.orders'));
));
$node->safe_psql('postgres', q(CALL mesh_outbox.cut_over('sales.orders', 'OrderPlaced', '1.1.0')));
ok(wait_published($node), 'published by both');
foreach my $cluster ($one, $two)
{
	my @controls = grep { header($_, 'mesh_outbox_control') } consume_all($cluster, 'sales.orders');
	is_deeply([ sort map { $_->{partition} } @controls ], [ 0 .. 2 ], 'one control event in each partition');
}

note 'two databases';
$node->safe_psql('postgres', 'CREATE DATABASE second');
$node->safe_psql('second', 'CREATE EXTENSION mesh_outbox');
create_publisher($node, $one, db => 'second');
simple_outbox($node, db => 'second', topic => 'second.orders');
$node->safe_psql('second', emit_sql('s1', 1));
ok(wait_published($node, 'second'), 'published from the second');
is_deeply([ values_of(consume($one, 'second.orders')) ], ['s1'], 'the event is there');
is(scalar(() = consume($one, 'sales.orders')), 21, 'the first one\'s topic is untouched');

note 'DROP DATABASE while its publisher runs';
$node->safe_psql('postgres', 'DROP DATABASE second');
is($node->safe_psql('postgres', q(SELECT count(*) FROM pg_database WHERE datname = 'second')), '0', 'dropped');
is($node->safe_psql('postgres', q(SELECT count(*) FROM pg_replication_slots WHERE database = 'second')), '0',
	'its slot is gone');
$node->safe_psql('postgres', emit_sql('o23', 1));
ok(wait_published($node), 'the first database goes on');

note 'a hundred outboxes';
$node->safe_psql('postgres', q(
	SELECT mesh_outbox.create_outbox('sales.many_' || g, product => 'sales.orders', publisher => 'one')
	FROM generate_series(1, 100) g));
$node->safe_psql('postgres', join(';', 'BEGIN', (map { emit_sql("m$_", $_, "sales.many_$_") } 1 .. 100), 'COMMIT'));
$node->safe_psql('postgres', join(';', map { emit_sql("n$_", $_, "sales.many_$_") } 1 .. 100));
ok(wait_published($node), 'published');
my %seen;
$seen{$_}++ foreach values_of(consume($one, 'sales.orders'));
is(scalar(grep { ($seen{"m$_"} // 0) == 1 && ($seen{"n$_"} // 0) == 1 } 1 .. 100), 100, 'every event once');

note 'DROP EXTENSION';
sql_fails($node, 'DROP EXTENSION mesh_outbox', qr/outbox/, 'refused while outboxes depend on it');
$node->safe_psql('postgres', 'DROP EXTENSION mesh_outbox CASCADE');
ok(until_true('no slots', sub {
	$node->safe_psql('postgres', 'SELECT count(*) FROM pg_replication_slots') eq '0' }), 'its slots go with it');
ok(until_true('no workers', sub {
	$node->safe_psql('postgres', q(SELECT count(*) FROM pg_stat_activity
		WHERE backend_type ~ 'mesh_outbox (publisher|scribe)')) eq '0' }), 'and its workers');
$node->safe_psql('postgres', 'CREATE EXTENSION mesh_outbox');
is($node->safe_psql('postgres', 'SELECT count(*) FROM mesh_outbox.publishers'), '0', 'it can be created again');

done_testing();

# The path of an event, on librdkafka's in-process broker: INSERT, and what a
# consumer finds in the topic.  That it is there exactly once is for the tests
# on real Kafka.

use strict;
use warnings FATAL => 'all';

use MeshOutbox::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main');
create_publisher($node, 'embedded');
simple_outbox($node);
extra_outbox($node, 'sales.returns', 'sales.returns_outbox', partitions => 1);
my $brokers = status($node)->{brokers};
like($brokers, qr/^127\.0\.0\.1:\d+/, 'the view tells where the embedded broker listens');

note 'one event';
emit($node, 'o1', 1);
ok(wait_published($node), 'published');
my ($e) = consume($brokers, 'sales.orders');
is($e->{key}, 'o1', 'the key is what the contract points to');
is_deeply(decoded($e->{value}), { id => 'o1', n => 1 }, 'the value is the payload');
is(header($e, 'ce_specversion'), '1.0', 'CloudEvents version');
is(header($e, 'ce_type'), 'sales.orders.OrderPlaced.v1', 'type');
is(header($e, 'content-type'), 'application/json', 'content type');
is( header($e, 'ce_id'),
	$node->safe_psql('postgres', 'SELECT event_id FROM sales.outbox'),
	'id is the row\'s event_id');
ok(defined header($e, $_), "header $_") foreach qw(ce_source ce_time ce_dataschema ce_sequence);

note 'what is committed, and only that';
$node->safe_psql('postgres', join(';', 'BEGIN', emit_sql('rolled-back', 1), 'ROLLBACK'));
$node->safe_psql('postgres', join(';', 'BEGIN', emit_sql('s1', 1), 'SAVEPOINT a',
	emit_sql('undone', 1), 'ROLLBACK TO a', emit_sql('s2', 2), 'SAVEPOINT b',
	emit_sql('s3', 3), 'RELEASE b', 'COMMIT'));
$node->safe_psql('postgres', join(';', 'BEGIN', emit_sql('p1', 1), q(PREPARE TRANSACTION 'gone')));
$node->safe_psql('postgres', join(';', 'BEGIN', emit_sql('p2', 1), q(PREPARE TRANSACTION 'kept')));
emit($node, 'between', 1);
ok(wait_published($node), 'an open prepared transaction holds nothing up');
my @ids = sort(values_of(consume($brokers, 'sales.orders')));
is_deeply(\@ids, [qw(between o1 s1 s2 s3)], 'sub-transactions: what was kept');
$node->safe_psql('postgres', q(COMMIT PREPARED 'kept'));
$node->safe_psql('postgres', q(ROLLBACK PREPARED 'gone'));
ok(wait_published($node), 'published after COMMIT PREPARED');
@ids = sort(values_of(consume($brokers, 'sales.orders')));
is_deeply(\@ids, [qw(between o1 p2 s1 s2 s3)], 'two-phase commit: what was committed');

note 'ways to insert';
my $copy = $node->data_dir . '/copy.txt';
append_to_file($copy, join('', map { qq(OrderPlaced\t{"id": "c$_", "n": $_}\n) } 1 .. 50));
$node->safe_psql('postgres', "COPY sales.outbox (event_type, payload) FROM '$copy'");
$node->safe_psql('postgres', q(
	INSERT INTO sales.outbox (event_type, payload)
	SELECT 'OrderPlaced', jsonb_build_object('id', 'i' || g, 'n', g) FROM generate_series(1, 50) g));
$node->safe_psql('postgres', q(
	PREPARE p (text, int) AS INSERT INTO sales.outbox (event_type, payload)
	VALUES ('OrderPlaced', jsonb_build_object('id', $1, 'n', $2));
	EXECUTE p ('x1', 1); EXECUTE p ('x2', 2);));
$node->safe_psql('postgres', join(';', 'BEGIN ISOLATION LEVEL SERIALIZABLE', emit_sql('iso', 1), 'COMMIT'));
ok(wait_published($node), 'published');
my @events = consume($brokers, 'sales.orders');
my %seen = map { $_ => 1 } values_of(@events);
is(scalar(grep { $seen{"c$_"} && $seen{"i$_"} } 1 .. 50), 50, 'COPY and INSERT ... SELECT');
ok($seen{x1} && $seen{x2} && $seen{iso}, 'prepared statement; serializable transaction');

note 'large payloads';
$node->safe_psql('postgres', q(
	INSERT INTO sales.outbox (event_type, payload)
	SELECT 'OrderPlaced', jsonb_build_object('id', 'big' || g, 'n', g, 'pad',
		(SELECT string_agg(md5(g::text || i), '') FROM generate_series(1, 6000) i))
	FROM generate_series(1, 3) g));
ok(wait_published($node), 'published');
my @big = grep { length($_->{value}) > 190_000 } consume($brokers, 'sales.orders');
is(scalar @big, 3, 'values from toast arrive whole');

note 'order';
$node->safe_psql('postgres', join(';', map { emit_sql('same', $_) } 1 .. 200));
ok(wait_published($node), 'published');
my @n = map { decoded($_->{value})->{n} } grep { $_->{key} eq 'same' } consume($brokers, 'sales.orders');
is_deeply(\@n, [ 1 .. 200 ], 'events of one key arrive in commit order');
my @sequence = map { header($_, 'ce_sequence') } grep { $_->{key} eq 'same' } consume($brokers, 'sales.orders');
is_deeply([ sort @sequence ], \@sequence, 'ce_sequence sorts as the events do');

note 'several outboxes';
$node->safe_psql('postgres', join(';', 'BEGIN', emit_sql('two', 1),
	emit_sql('two', 2, 'sales.returns_outbox'), 'COMMIT'));
ok(wait_published($node), 'published');
is_deeply([ values_of(consume($brokers, 'sales.returns')) ], ['two'], 'each outbox has its topic');

note 'what is written down';
my $s = status($node);
is($s->{state}, 'streaming', 'state');
ok($s->{events} >= 300, 'events are counted');
ok(until_true('the ledger', sub {
	$node->safe_psql('postgres', 'SELECT sum(events) FROM mesh_outbox.batches') eq
	  $node->safe_psql('postgres', 'SELECT (SELECT count(*) FROM sales.outbox) + 1') }),
	'the ledger accounts for every event');
is($node->safe_psql('postgres', 'SELECT count(*) FROM mesh_outbox.dead_letters'), '0', 'no dead letters');

done_testing();

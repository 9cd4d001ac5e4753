# Transactional ids taken over in passing, by somebody who claims nothing, as
# when the coordinator times a publisher out; before its claims, too; one
# of them while the others have transactions open; and a start while the last
# WAL record ends on a page boundary.

use strict;
use warnings FATAL => 'all';

use MeshOutbox::Test;
use Test::More;

my $kafka = start_kafka();
my $node = new_node('main', 'autovacuum = off', 'checkpoint_timeout = 1h',
	'mesh_outbox.max_transaction_events = 20');

note 'fenced before its first claim, when Kafka has no marker yet';
my $log = -s $node->logfile;
my $order = fault($node, 'start_fence_1:wait');
$node->safe_psql('postgres', qq(SELECT mesh_outbox.create_publisher('main', brokers => '$kafka->{bootstrap}',
	options => '{"transaction.timeout.ms": 900000}')));
ok(await_fault($node, $order, $log), 'it has some of its ids');
my @ids = map { marker_group($node) . "-$_" } 0 .. 3;

sub fence { return kafka('fence', $kafka->{bootstrap}, @ids); }

fence();
fault($node, '');
ok(wait_state($node, 'streaming'), 'it tries again');
simple_outbox($node);
emit($node, first => 1);
ok(wait_published($node), 'published');

note 'fenced once';
my $pid = worker_pid($node, 'publisher');
fence();
emit($node, second => 1);
ok(wait_published($node), 'published');
is(worker_pid($node, 'publisher'), $pid, 'the process went on');

note 'fenced, and fenced again before its new claim';
$log = -s $node->logfile;
$order = fault($node, 'start_fence_1:wait');
fence();
emit($node, third => 1);
ok(await_fault($node, $order, $log), 'it has its ids back');
fence();
fault($node, '');
ok(wait_published($node), 'published');
is(status($node)->{state}, 'streaming', 'nobody has to decide');
is_deeply([ sort(values_of(consume($kafka, 'sales.orders'))) ], [qw(first second third)], 'each once');

note 'one id is taken while the publisher is busy with the others';
# Its own open transactions must not be what it then waits for: the coordinator
# would end them after a quarter of an hour.
foreach my $lane (0 .. 3)
{
	my $before = status($node)->{kafka_transactions};
	$node->safe_psql('postgres', qq(INSERT INTO sales.outbox (event_type, payload)
		SELECT 'OrderPlaced', jsonb_build_object('id', 'lane$lane-' || n, 'n', n) FROM generate_series(1, 4000) n));
	ok(until_true('it is in the middle', sub { status($node)->{kafka_transactions} > $before + 10 }), 'in the middle');
	kafka('fence', $kafka->{bootstrap}, $ids[$lane]);
	ok(wait_published($node), "id $lane: it goes on");
}
my %seen;
$seen{$_}++ foreach values_of(consume($kafka, 'sales.orders'));
is(scalar(keys %seen), 16003, 'all is published');
is(scalar(grep { $_ != 1 } values %seen), 0, 'each once');

note 'the last WAL record ends where a page ends';
# A message's record is as long as its text but for a constant and padding.
sub to_page_end
{
	return $node->safe_psql('postgres', q(
		DO $$ BEGIN
		FOR i IN 1 .. 100 LOOP
			PERFORM pg_logical_emit_message(false, '', repeat('x',
				greatest(0, 8192 - (pg_current_wal_insert_lsn() - '0/0')::bigint % 8192 - 49 - i % 40)::int));
			EXIT WHEN (pg_current_wal_insert_lsn() - '0/0')::bigint % 8192 = 24;
		END LOOP;
		END $$;
		SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint % 8192));
}
$log = -s $node->logfile;
$order = fault($node, 'start_verify:wait');
signal_worker($node, 'TERM', 'publisher');
ok(await_fault($node, $order, $log), 'a new publisher starts');
is(to_page_end(), 24, 'at a page boundary');
$log = -s $node->logfile;
fault($node, '');
ok(wait_state($node, 'streaming'), 'it starts');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile, $log), qr/flush request/, 'without an error');

done_testing();

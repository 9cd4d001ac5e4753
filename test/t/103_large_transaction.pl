# A transaction too large for one Kafka transaction: its parts say what they
# are, memory stays bounded, and a crash inside it neither loses nor repeats.

use strict;
use warnings FATAL => 'all';

use MeshOutbox::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my $rows = $ENV{MO_LARGE_ROWS} // 200_000;
my $kafka = start_kafka();
my $node = new_node('main', 'mesh_outbox.max_transaction_events = 20000', 'max_wal_size = 4GB');
create_publisher($node, $kafka);
simple_outbox($node);

# Anonymous memory of the publisher in megabytes; Linux only.
sub memory
{
	my ($anonymous) = slurp_file('/proc/' . worker_pid($node, 'publisher') . '/status') =~ /RssAnon:\s+(\d+)/;
	return int($anonymous / 1024);
}

note 'a transaction that just fits is whole';
$node->safe_psql('postgres', q(
	INSERT INTO sales.outbox (event_type, payload)
	SELECT 'OrderPlaced', jsonb_build_object('id', 'w' || g % 7, 'n', g) FROM generate_series(1, 20000) g));
ok(wait_published($node), 'published');
my $whole = decoded(kafka('summary', $kafka->{bootstrap}, 'sales.orders'));
is_deeply($whole, { records => 20000, ids => 20000, fell => 0, parts => { '' => 20000 }, last_parts => 0 },
	'every event once, in order, no part headers');

note "one of $rows rows, with a crash in the middle";
my $log = -s $node->logfile;
my $order = fault($node, 'batch_commit_acked:crash:4');
emit_into_crash($node, qq(
	INSERT INTO sales.outbox (event_type, payload)
	SELECT 'OrderPlaced', jsonb_build_object('id', 'h' || g % 7, 'n', g, 'pad', repeat('x', 200))
	FROM generate_series(1, $rows) g));
await_crash($node, $order, $log);
my $peak = 0;
ok(until_true('publication', sub {
	my $m = eval { memory() } // 0;
	$peak = $m if $m > $peak;
	return $node->safe_psql('postgres', q(SELECT mesh_outbox.wait_published(timeout => '100 ms'))) eq 't';
}), 'published');
cmp_ok($peak, '<=', 150, "the publisher took $peak MB at most");
my $all = decoded(kafka('summary', $kafka->{bootstrap}, 'sales.orders'));
is($all->{records}, 20000 + $rows, 'every event');
is($all->{ids}, 20000 + $rows, 'each once');
is($all->{fell}, 0, 'in order');

note 'parts';
is(scalar(keys %{ $all->{parts} }), 2 + ($rows - 20000) / 10000, 'every event says its part')
  or diag(explain($all->{parts}));
cmp_ok($all->{last_parts}, '>', 0, 'the last part says so');

note 'the last event is a dead letter, and another transaction follows at once';
$node->append_conf('postgresql.conf', 'mesh_outbox.max_transaction_events = 20');
$node->reload;
extra_outbox($node, 'sales.returns', 'sales.returns');
$node->safe_psql('postgres', q(
	SELECT mesh_outbox.set_enforcement('sales.returns', 'OrderPlaced', '1.0.0', 'quarantine', reason => 'test');
	SELECT mesh_outbox.pause_publisher('main', reason => 'test')));
ok(wait_state($node, 'paused'), 'paused');
$node->safe_psql('postgres', q(
	BEGIN;
	INSERT INTO sales.returns (event_type, payload)
	SELECT 'OrderPlaced', jsonb_build_object('id', 'split', 'n', g) FROM generate_series(1, 24) g
	UNION ALL SELECT 'OrderPlaced', '{"id": "split", "n": -1}';
	COMMIT;
	INSERT INTO sales.returns (event_type, payload) VALUES ('OrderPlaced', '{"id": "after", "n": 1}')));
$node->safe_psql('postgres', q(SELECT mesh_outbox.resume_publisher('main')));
ok(wait_published($node), 'published');
is($node->safe_psql('postgres', q(SELECT count(*), min(reason) FROM mesh_outbox.dead_letters)), '1|quarantined',
	'one dead letter');
my @split = grep { ($_->{key} // '') eq 'split' } consume($kafka, 'sales.returns');
is_deeply([ map { header($_, 'mesh_outbox_part') } @split ], [ (1) x 20, (2) x 4 ], 'two parts');
is_deeply([ grep { header($split[$_], 'mesh_outbox_last_part') } 0 .. $#split ], [23], 'the last record says so');

note 'all of the last part are dead letters';
$node->append_conf('postgresql.conf', q(mesh_outbox.topic_timeout = '1s'));
$node->reload;
extra_outbox($node, 'sales.odd', 'sales.odd', topic_config => '{"no.such.setting": 1}');
$node->safe_psql('postgres', q(
	BEGIN;
	INSERT INTO sales.returns (event_type, payload)
	SELECT 'OrderPlaced', jsonb_build_object('id', 'whole part', 'n', g) FROM generate_series(1, 20) g;
	INSERT INTO sales.odd (event_type, payload) VALUES ('OrderPlaced', '{"id": "odd", "n": 1}');
	COMMIT));
ok(wait_published($node), 'published');
my @ends = map { header($_, 'mesh_outbox_part') . $_->{value} }
  grep { header($_, 'mesh_outbox_last_part') } consume($kafka, 'sales.returns');
is_deeply([ sort @ends ], [ '2', '2{"n": 24, "id": "split"}' ], 'a record without a value says that it ends');

note 'the same in a compacted topic, which takes no record without a key';
extra_outbox($node, 'sales.latest', 'sales.latest', topic_config => '{"cleanup.policy": "compact"}');
$node->safe_psql('postgres', q(
	BEGIN;
	INSERT INTO sales.latest (event_type, payload)
	SELECT 'OrderPlaced', jsonb_build_object('id', 'k' || g, 'n', g) FROM generate_series(1, 20) g;
	INSERT INTO sales.odd (event_type, payload) VALUES ('OrderPlaced', '{"id": "odd", "n": 2}');
	COMMIT));
ok(wait_published($node), 'published');
is_deeply([ map { [ $_->{key}, $_->{value}, header($_, 'mesh_outbox_part') ] }
	  grep { header($_, 'mesh_outbox_last_part') } consume($kafka, 'sales.latest') ],
	[ [ '', '', 2 ] ], 'its key is empty');
my $ledger = q(SELECT p.value FROM mesh_outbox.batches b, jsonb_each(b.offsets -> 'sales.latest') p WHERE p.key = '0');
ok(until_true('the ledger', sub { $node->safe_psql('postgres', $ledger) ne '' }), 'in the ledger');
is($node->safe_psql('postgres', qq(SELECT sum((l.value ->> 2)::int) FROM mesh_outbox.batches b,
	jsonb_each(b.offsets -> 'sales.latest') l)), '20', 'where it is no event');

note 'a topic that takes nothing, not even the record that would end the transaction';
kafka('create', $kafka, 'sales.tiny', 3, 'max.message.bytes=100');
extra_outbox($node, 'sales.tiny', 'sales.tiny');
$node->safe_psql('postgres', q(
	INSERT INTO sales.tiny (event_type, payload)
	SELECT 'OrderPlaced', jsonb_build_object('id', 'tiny', 'n', g) FROM generate_series(1, 22) g));
ok(wait_published($node), 'the stream goes on');
is($node->safe_psql('postgres', q(SELECT count(*), count(DISTINCT event_id) FROM mesh_outbox.dead_letter
	WHERE key = 'tiny')), '22|22', 'every event is a dead letter, and nothing else');

done_testing();

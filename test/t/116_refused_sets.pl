# A broker refuses message sets, with the same error for each record in them.
# The innocent among them are published, in a time that does not depend on how
# many they are or how slow the way to the broker is.

use strict;
use warnings FATAL => 'all';

use MeshOutbox::Test;
use Test::More;

# Records one at a time would not be through before Kafka looks for overdue
# transactions, as it does every 10 s.
my $one_at_a_time = '{"linger.ms": 20, "transaction.timeout.ms": 5000}';
my $count = 1500;

my $kafka = start_kafka();
my $node = new_node('main');
create_publisher($node, $kafka, options => $one_at_a_time);
simple_outbox($node);
extra_outbox($node, 'sales.late', 'sales.late', partitions => 1);
emit($node, first => 1);
$node->safe_psql('postgres', emit_sql('late', 0, 'sales.late'));
ok(wait_published($node), 'published');

sub in_order
{
	my ($what, $key, @expected) = @_;
	my @records = grep { $_->{key} =~ /^$key/ } consume($kafka, 'sales.orders');
	my @sent = sort { header($a, 'ce_sequence') cmp header($b, 'ce_sequence') } @records;
	is_deeply([ map { decoded($_->{value})->{n} } @sent ], \@expected, "$what: published, in order, once");
	return;
}

sub dead
{
	my ($reason) = @_;
	return $node->safe_psql('postgres', qq(
		SELECT string_agg(payload::jsonb ->> 'n', ' ' ORDER BY dead_letter_id)
		FROM mesh_outbox.dead_letter WHERE reason = '$reason'));
}

note 'a topic takes less than before';
kafka('alter', $kafka, 'sales.orders', 'max.message.bytes=20000');
$node->safe_psql('postgres', qq(
	INSERT INTO sales.outbox (event_type, payload)
	SELECT 'OrderPlaced', jsonb_build_object('id', 'small' || g, 'n', g, 'pad',
		repeat('x', CASE WHEN g % 500 = 0 THEN 30000 ELSE 100 END)) FROM generate_series(1, $count) g));
ok(wait_published($node), 'the stream goes on');
in_order('small events', 'small', grep { $_ % 500 } 1 .. $count);
is(dead('too_large'), '500 1000 1500', 'what is too large is a dead letter');

note 'a topic takes nothing that was on its way for longer';
kafka('alter', $kafka, 'sales.late', 'message.timestamp.before.max.ms=5');
$node->safe_psql('postgres', qq(
	BEGIN;
	INSERT INTO sales.outbox (event_type, payload)
	SELECT 'OrderPlaced', jsonb_build_object('id', 'innocent' || g, 'n', g) FROM generate_series(1, $count) g;
	INSERT INTO sales.late (event_type, payload)
	SELECT 'OrderPlaced', jsonb_build_object('id', 'late' || g, 'n', g) FROM generate_series(1, 3) g;
	COMMIT));
ok(wait_published($node), 'the stream goes on');
in_order('events of another topic', 'innocent', 1 .. $count);
is(dead('refused'), '1 2 3', 'what is refused is a dead letter');
is_deeply([ values_of(consume($kafka, 'sales.late')) ], ['late'], 'and was not published');

done_testing();

# Events do not wait for the end of other tables' WAL that follows them: not
# inside the replay of one large transaction, whose Kafka transaction would
# stay open as long, nor while many small ones are read.

use strict;
use warnings FATAL => 'all';

use MeshOutbox::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my $kafka = start_kafka();
my $node = new_node('main', 'max_wal_size = 4GB');
create_publisher($node, $kafka);
simple_outbox($node, partitions => 1);
emit($node, first => 1);
ok(wait_published($node), 'published');

# An event, what others do, an event: the publisher finds them all at once.
# Returns how many offsets lie between the two; the end of a Kafka transaction
# takes one.
sub between
{
	my ($name, $foreign) = @_;
	$node->safe_psql('postgres', q(SELECT mesh_outbox.pause_publisher('main', reason => 'test')));
	ok(wait_state($node, 'paused'), 'paused');
	emit($node, "before $name" => 1);
	$node->safe_psql('postgres', "SET synchronous_commit = off; $foreign");
	emit($node, "after $name" => 1);
	$node->safe_psql('postgres', q(SELECT mesh_outbox.resume_publisher('main')));
	ok(wait_published($node), 'published');
	my %offset = map { $_->{key} => $_->{offset} } consume($kafka, 'sales.orders');
	return $offset{"after $name"} - $offset{"before $name"} - 1;
}

note 'a backlog is gathered';
is(between('nothing', 'SELECT 1'), 0, 'two events in one Kafka transaction');

note 'a large transaction';
is(between('one', 'CREATE TABLE public.large AS SELECT g FROM generate_series(1, 1000000) g'),
	1, 'the event before it did not wait');

note 'many small ones';
is(between('many', q(
	DO $$
	BEGIN
		FOR i IN 1..20000 LOOP
			EXECUTE format('CREATE VIEW public.v%1$s AS SELECT 1 AS a, now() AS b; DROP VIEW public.v%1$s', i);
			COMMIT;
		END LOOP;
	END $$)), 1, 'the event before them did not wait');

done_testing();

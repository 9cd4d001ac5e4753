# A publisher that is created where another one was starts anew: what the
# earlier one left in Kafka is neither its position nor in its way.

use strict;
use warnings FATAL => 'all';

use MeshOutbox::Test;
use Test::More;

my $kafka = start_kafka();
my $node = new_node('main');
create_publisher($node, $kafka);
simple_outbox($node);
emit($node, first => 1);
ok(wait_published($node), 'published');
my @groups = (marker_group($node));

# Without its outbox, which stays as a table; what it published stays.
sub set_up_again
{
	my ($id) = @_;
	create_publisher($node, $kafka);
	push @groups, marker_group($node);
	extra_outbox($node, 'sales.orders', "sales.$id");
	$node->safe_psql('postgres', emit_sql($id, 1, "sales.$id"));
	ok(wait_published($node), 'published');
	is(status($node)->{state}, 'streaming', 'nothing asks for a decision');
	return;
}

note 'dropped and created again';
$node->safe_psql('postgres', q(
	SELECT mesh_outbox.drop_outbox('sales.outbox', lose_events => true);
	SELECT mesh_outbox.retire_contract('sales.orders', 'OrderPlaced', '1.0.0', force_reason => 'test');
	SELECT mesh_outbox.drop_product('sales.orders');
	SELECT mesh_outbox.drop_publisher('main')));
set_up_again('second');

note 'the extension, too, so that ids begin anew';
my $id = status($node)->{publisher_id};
$node->safe_psql('postgres', q(
	DROP EXTENSION mesh_outbox CASCADE;
	CREATE EXTENSION mesh_outbox;
	SELECT mesh_outbox.create_domain('sales', owner => current_user, description => 'sales')));
set_up_again('third');
is(status($node)->{publisher_id}, 1, 'an id that was there before');
isnt($id, 1, 'in another publisher');

note 'a publisher that was dropped while it ran leaves no position behind';
sub offsets { return @{ decoded(kafka('offsets', $kafka->{bootstrap}, $_[0])) }; }
ok(until_true('the position to go', sub {
	return !grep { ($_->{offset} // -1) >= 0 } map { offsets($_) } $groups[0];
}), 'gone from Kafka');
is(scalar(grep { ($_->{offset} // -1) >= 0 } offsets($groups[2])), 1, 'but the one that is in use');

my %seen;
$seen{$_}++ foreach @groups;
is(scalar(keys %seen), 3, 'each has a group of its own');
is_deeply([ sort(values_of(consume($kafka, 'sales.orders'))) ], [qw(first second third)], 'all is published once');

note 'both in one transaction, which nobody sees in between';
my $launcher = launcher_pid($node);
kill 'STOP', $launcher;
$node->safe_psql('postgres', qq(
	BEGIN;
	DROP EXTENSION mesh_outbox CASCADE;
	CREATE EXTENSION mesh_outbox;
	SELECT mesh_outbox.create_domain('sales', owner => current_user, description => 'sales');
	SELECT mesh_outbox.create_publisher('main', brokers => '$kafka->{bootstrap}');
	COMMIT));
is($node->safe_psql('postgres', q(SELECT mesh_outbox.wait_ready('main', '0 s'))), 'f', 'not ready because the one before is');
kill 'CONT', $launcher;
ok(wait_ready($node), 'ready');
extra_outbox($node, 'sales.orders', 'sales.again');
$node->safe_psql('postgres', emit_sql('again', 1, 'sales.again'));
ok(wait_published($node), 'published');
isnt(marker_group($node), $groups[2], 'by another publisher of the same id');

note 'a restart finds its own position';
$node->restart;
$node->safe_psql('postgres', emit_sql('fourth', 1, 'sales.again'));
ok(wait_published($node), 'goes on');
is_deeply([ sort(values_of(consume($kafka, 'sales.orders'))) ], [qw(again first fourth second third)], 'all is published once');

done_testing();

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

my %seen;
$seen{$_}++ foreach @groups;
is(scalar(keys %seen), 3, 'each has a group of its own');
is_deeply([ sort(values_of(consume($kafka, 'sales.orders'))) ], [qw(first second third)], 'all is published once');

note 'a restart finds its own position';
$node->restart;
$node->safe_psql('postgres', emit_sql('fourth', 1, 'sales.third'));
ok(wait_published($node), 'goes on');
is_deeply([ sort(values_of(consume($kafka, 'sales.orders'))) ], [qw(first fourth second third)], 'all is published once');

done_testing();

# Kafka lost or replaced something: the topic, the offsets, the whole cluster.

use strict;
use warnings FATAL => 'all';

use MeshOutbox::Test;
use Test::More;

my $kafka = start_kafka();
my $node = new_node('main');
create_publisher($node, $kafka);
simple_outbox($node);

sub published_in_ledger
{
	my ($count) = @_;
	return ok(until_true('the ledger', sub {
		$node->safe_psql('postgres', 'SELECT coalesce(sum(events), 0) FROM mesh_outbox.batches') >= $count }),
		'the ledger knows');
}

sub attention
{
	my ($what) = @_;
	ok(wait_state($node, 'needs attention'), "$what: needs attention");
	my $s = status($node);
	note explain({ map { $_ => $s->{$_} } grep { /attention/ } keys %$s });
	ok(($s->{attention_detail} // '') ne '', "$what: with details");
	return;
}

sub decide
{
	my ($what, $from) = @_;
	$node->safe_psql('postgres',
		qq(SELECT mesh_outbox.resume_publisher('main', start_from => '$from', reason => '$what')));
	ok(wait_state($node, 'streaming'), "$what: streams again from $from");
	return;
}

emit($node, "e$_" => $_) foreach 1 .. 30;
ok(wait_published($node), 'published');
published_in_ledger(30);

note 'the topic is deleted and made again';
$node->stop;
kafka('delete', $kafka, 'sales.orders');
kafka('create', $kafka, 'sales.orders', 3);
$node->start;
emit($node, 'into-new-topic' => 1);
attention('topic made again');
decide('topic made again', 'marker');
ok(wait_published($node), 'published');
is_deeply([ values_of(consume($kafka, 'sales.orders')) ], ['into-new-topic'], 'what came after is in the new topic');

note 'the decision holds at the next start';
published_in_ledger(31);
$node->restart;
emit($node, 'after-restart' => 1);
ok(wait_published($node), 'published');
is(status($node)->{state}, 'streaming', 'nothing to decide again');

note 'the offsets are gone';
published_in_ledger(32);
my $group = marker_group($node);
$node->stop;
kafka('drop-group', $kafka, $group);
$node->start;
emit($node, 'after-offsets' => 1);
attention('offsets lost');
decide('offsets lost', 'ledger');
ok(wait_published($node), 'published');
is_deeply([ sort(values_of(consume($kafka, 'sales.orders'))) ], [ 'after-offsets', 'after-restart', 'into-new-topic' ],
	'nothing lost, nothing twice');

note 'the offset is set by an administrator';
published_in_ledger(33);
$node->stop;
kafka('set-offset', $kafka, $group, 'mesh_outbox.markers', 0);
$node->start;
emit($node, 'after-reset' => 1);
attention('offset set');
decide('offset set', 'ledger');
ok(wait_published($node), 'published');
is_deeply([ sort(values_of(consume($kafka, 'sales.orders'))) ],
	[ 'after-offsets', 'after-reset', 'after-restart', 'into-new-topic' ], 'nothing lost, nothing twice');

note 'another cluster at the same address';
published_in_ledger(34);
$node->stop;
kafka('stop', $kafka);
my $other = start_kafka();
$node->start;
$node->safe_psql('postgres',
	"SELECT mesh_outbox.alter_publisher('main', brokers => '$other->{bootstrap}')");
emit($node, 'to-other' => 1);
attention('cluster replaced');
decide('cluster replaced', 'ledger');
ok(wait_published($node), 'published');
is_deeply([ values_of(consume($other, 'sales.orders')) ], ['to-other'], 'goes on there');

done_testing();

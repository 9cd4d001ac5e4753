# Three brokers, replication 3, min.insync 2: one of them may go at any time.

use strict;
use warnings FATAL => 'all';

use MeshOutbox::Test;
use Test::More;

my $kafka = start_kafka(3);
my $node = new_node('main');
create_publisher($node, $kafka);
simple_outbox($node, topic_config => '{"min.insync.replicas": "2"}');
my $n = 0;

sub burst
{
	my ($count) = @_;
	$node->safe_psql('postgres', join(';', map { emit_sql("e$_", $_) } $n + 1 .. $n + $count));
	$n += $count;
	return;
}

burst(50);
ok(wait_published($node), 'published');
foreach my $broker (1, 2)
{
	burst(20);
	kafka('signal', $kafka, $broker, 'KILL');
	burst(20);
	ok(wait_published($node), "broker $broker killed: goes on with two");
	kafka('up', $kafka, $broker);
	burst(20);
	ok(wait_published($node), "broker $broker is back");
}
burst(10);
kafka('signal', $kafka, 3, 'STOP');
burst(10);
ok(wait_published($node), 'broker 3 stopped: goes on with two');
kafka('signal', $kafka, 3, 'CONT');

note 'two away: nothing is acknowledged, nothing lost';
kafka('wait', $kafka);
kafka('signal', $kafka, $_, 'KILL') foreach 1, 2;
burst(10);
ok(wait_state($node, 'waiting for broker'), 'state waiting for broker');
kafka('up', $kafka);
ok(wait_published($node), 'goes on by itself');

my @seen = values_of(consume($kafka, 'sales.orders'));
is_deeply([ sort @seen ], [ sort map { "e$_" } 1 .. $n ], "every one of $n events once");

done_testing();

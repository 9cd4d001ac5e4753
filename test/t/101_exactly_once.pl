# Exactly once on Apache Kafka, through the ends of everything that takes part:
# server, workers, broker.

use strict;
use warnings FATAL => 'all';

use MeshOutbox::Test;
use Test::More;

my $kafka = start_kafka();
my $node = new_node('main');
create_publisher($node, $kafka);
simple_outbox($node);
my $n = 0;

# Two transactions before and one after something happens; then each event is
# in the topic once, in order for its key.
sub survives
{
	my ($what, $happen) = @_;
	emit($node, 'e' . ++$n => 1) foreach 1 .. 2;
	$happen->();
	emit($node, 'e' . ++$n => 1);
	ok(wait_published($node), "$what: goes on");
	my @seen = values_of(consume($kafka, 'sales.orders'));
	is_deeply([ sort @seen ], [ sort map { "e$_" } 1 .. $n ], "$what: every event once");
	return;
}

survives('nothing happens', sub { });
survives('restart', sub { $node->restart; });
survives('immediate restart', sub { $node->stop('immediate'); $node->start; });
foreach my $kind (qw(publisher scribe))
{
	survives("$kind terminated", sub {
		my $pid = signal_worker($node, 'TERM', $kind);
		ok(until_true("another $kind", sub {
			my $now = worker_pid($node, $kind); $now != 0 && $now != $pid }), "a new $kind comes");
	});
}
survives('server killed', sub {
	kill_server($node);
	$node->start;
});
survives('broker killed', sub {
	kafka('signal', $kafka, 1, 'KILL');
	kafka('up', $kafka);
});
survives('broker and server killed', sub {
	kafka('signal', $kafka, 1, 'KILL');
	kill_server($node);
	$node->start;
	kafka('up', $kafka);
});

sub is_inserted { return $node->safe_psql('postgres', "SELECT count(*) FROM sales.outbox WHERE key = '$_[0]'"); }

note 'crash at the steps where a commit is in doubt';
sub survives_crash_at
{
	my ($step, $what) = @_;
	survives("$what: crash at $step", sub {
		my $log = -s $node->logfile;
		# The crash is to hit the next event, which is committed by then.
		wait_published($node);
		my $order = fault($node, "$step:crash");
		if ($step =~ /^claim/) { signal_worker($node, 'TERM', 'publisher'); }
		else { emit_into_crash($node, emit_sql('e' . ++$n, 0)); }
		await_crash($node, $order, $log);
		# Other tables' traffic lets the slot advance, too: then the crash
		# came before the event.
		emit($node, "e$n" => 0) if $step eq 'slot_advance' && !is_inserted("e$n");
	});
	return;
}
survives_crash_at($_, 'as usual') foreach qw(claim_send claim_commit batch_produce batch_send_offsets
	batch_delivered batch_commit_send batch_commit_acked slot_advance);
$node->append_conf('postgresql.conf', 'mesh_outbox.max_transaction_events = 1');
$node->reload;
survives_crash_at('batch_commit_acked', 'smallest batches');

note 'transactions aborted in Kafka are seen by nobody who reads committed ones';
my @all = consume_uncommitted($kafka, 'sales.orders');
my @committed = consume($kafka, 'sales.orders');
cmp_ok(scalar @all, '>', scalar @committed, 'there were aborted copies');

note 'the ledger names offsets that hold what it says';
my %place = map { ("$_->{partition}/$_->{offset}" => $_) } @committed;
my $rows = $node->safe_psql('postgres', q(
	SELECT p.key || ' ' || (p.value->>0) || ' ' || (p.value->>1) || ' ' || (p.value->>2)
	FROM mesh_outbox.batches, jsonb_each(offsets->'sales.orders') p));
my $wrong = 0;
foreach my $row (split /\n/, $rows)
{
	my ($partition, $first, $last, $count) = split / /, $row;
	my $inside = grep { $place{"$partition/$_"} } $first .. $last;
	$wrong++ unless $inside == $count && $place{"$partition/$first"} && $place{"$partition/$last"};
}
cmp_ok(scalar(split /\n/, $rows), '>', 5, 'there are ledger rows');
is($wrong, 0, 'each ledger row has its events at its offsets');

done_testing();

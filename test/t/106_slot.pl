# The slot dropped, made again, moved or invalidated behind our back: state
# "needs attention" with the range in doubt, never silence; and the ways out.

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
my $slot = $node->safe_psql('postgres', 'SELECT slot_name FROM pg_replication_slots');
like($slot, qr/^mesh_outbox_/, 'the slot has a name that says whose it is');

sub attention
{
	my ($what) = @_;
	ok(wait_state($node, 'needs attention'), "$what: needs attention");
	my $s = status($node);
	ok(($s->{attention} // '') ne '', "$what: " . ($s->{attention} // 'no reason'));
	like($s->{attention_hint} // '', qr/resume_publisher|ledger|marker|now/, "$what: a hint names the way out");
	sql_fails($node, q(SELECT mesh_outbox.resume_publisher('main')), qr/needs a decision/,
		"$what: no resume without a decision");
	return;
}

# A restart must not forget the question.
sub decide
{
	my ($what, $from) = @_;
	$node->restart;
	ok(wait_state($node, 'needs attention'), "$what: still so after a restart");
	$node->safe_psql('postgres',
		qq(SELECT mesh_outbox.resume_publisher('main', start_from => '$from', reason => 'test of $what')));
	ok(until_true('streaming', sub { (status($node)->{state} // '') eq 'streaming' }),
		"$what: streams again from $from") or diag(explain(status($node)));
	is($node->safe_psql('postgres', qq(SELECT count(*) FROM mesh_outbox.publisher_events
		WHERE action LIKE 'resume from $from%' AND detail LIKE 'test of $what%')), '1', "$what: the decision is recorded");
	return;
}

sub once
{
	my ($id, $count) = @_;
	return is(scalar(grep { $_ eq $id } values_of(consume($kafka, 'sales.orders'))), $count // 1, "$id: "
		  . ($count // 1) . ' times');
}

note 'dropped';
without_workers($node, sub {
	emit($node, unseen => 1);
	$node->safe_psql('postgres', "SELECT pg_drop_replication_slot('$slot')");
});
attention('slot dropped');
decide('slot dropped', 'now');
emit($node, 'after-drop' => 1);
ok(wait_published($node), 'published');
once('first');
once('after-drop');
is($node->safe_psql('postgres', q(SELECT count(*) > 0 FROM mesh_outbox.publisher_events
	WHERE from_lsn IS NOT NULL)), 't', 'the range in doubt is on record');

note 'what is accepted before the decision is carried out is published';
without_workers($node, sub {
	$node->safe_psql('postgres', "SELECT pg_drop_replication_slot('$slot')");
});
attention('slot dropped once more');
is($node->safe_psql('postgres', q(SELECT mesh_outbox.wait_ready('main', '0'))), 'f',
	'not ready while a decision is due');
kafka('signal', $kafka, 1, 'STOP');
$node->safe_psql('postgres',
	q(SELECT mesh_outbox.resume_publisher('main', start_from => 'now', reason => 'Kafka hangs')));
ok(wait_ready($node), 'ready with the new slot, before Kafka answers');
emit($node, 'between' => 1);
kafka('signal', $kafka, 1, 'CONT');
ok(wait_published($node), 'published');
once('between');

note 'dropped and made again by somebody';
without_workers($node, sub {
	emit($node, unseen2 => 1);
	$node->safe_psql('postgres', "SELECT pg_drop_replication_slot('$slot')");
	$node->safe_psql('postgres', "SELECT pg_create_logical_replication_slot('$slot', 'test_decoding')");
});
attention('slot made again');
decide('slot made again', 'now');
emit($node, 'after-again' => 1);
ok(wait_published($node), 'published');
once('after-again');

note 'moved forward';
without_workers($node, sub {
	emit($node, skipped => 1);
	$node->safe_psql('postgres', "SELECT pg_replication_slot_advance('$slot', pg_current_wal_lsn())");
});
attention('slot moved');
decide('slot moved', 'now');
emit($node, 'after-move' => 1);
ok(wait_published($node), 'published');
once('after-move');

note 'lost while it is paused, so that no publisher has seen it';
$node->safe_psql('postgres', q(
	SELECT mesh_outbox.set_enforcement('sales.orders', 'OrderPlaced', '1.0.0', 'quarantine', reason => 'test')));
emit($node, 'dead' => -1);
emit($node, 'behind-it' => 1);
ok(wait_published($node), 'published, or a dead letter');
ok(until_true('it to be left behind', sub {
	$node->safe_psql('postgres', q(SELECT b.last_lsn > d.commit_lsn FROM mesh_outbox.dead_letter d, mesh_outbox.batch b
		ORDER BY b.batch_no DESC LIMIT 1)) eq 't' }), 'left behind');
$node->safe_psql('postgres', q(
	SELECT mesh_outbox.set_enforcement('sales.orders', 'OrderPlaced', '1.0.0', 'off', reason => 'test');
	SELECT mesh_outbox.pause_publisher('main', reason => 'test');
	ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'));
ok(wait_state($node, 'paused'), 'paused');
$node->reload;
ok(until_true('the slot to be lost', sub {
	$node->safe_psql('postgres', 'CREATE TEMP TABLE t (n int); SELECT pg_switch_wal(); CHECKPOINT');
	return $node->safe_psql('postgres', 'SELECT wal_status FROM pg_replication_slots') eq 'lost' }), 'lost');
ok(until_true('the pair to end', sub { !worker_pid($node, 'publisher') && !worker_pid($node, 'scribe') }), 'nobody runs');
is(status($node)->{state}, 'paused', 'it is paused still');
my $retry = q(SELECT mesh_outbox.retry_dead_letters(array_agg(dead_letter_id)) FROM mesh_outbox.dead_letters);
sql_fails($node, $retry, qr/no publisher that is ready/, 'a retry that nobody would publish');
$node->safe_psql('postgres', 'ALTER SYSTEM RESET max_slot_wal_keep_size');
$node->reload;
# The launcher learns of it a moment after the commit.
my $launcher = launcher_pid($node);
kill 'STOP', $launcher;
$node->safe_psql('postgres',
	q(SELECT mesh_outbox.resume_publisher('main', start_from => 'now', reason => 'the slot is lost')));
is($node->safe_psql('postgres', q(SELECT mesh_outbox.wait_ready('main', '0'))), 'f',
	'not ready before there is a new slot');
kill 'CONT', $launcher;
ok(wait_ready($node), 'ready');
emit($node, 'after-loss' => 1);
is($node->safe_psql('postgres', $retry), '1', 'the dead letter is still there to be retried');
ok(wait_published($node), 'published');
once('after-loss');
once('dead');

note 'a decision is for now: the next start must not find it';
sql_fails($node, q(SELECT mesh_outbox.resume_publisher('main', start_from => 'now', reason => 'for fun')),
	qr/needs no decision/, 'none is due');
kafka('signal', $kafka, 1, 'STOP');
$node->restart;
ok(wait_ready($node), 'it has begun to start');
$node->safe_psql('postgres',
	q(SELECT mesh_outbox.resume_publisher('main', start_from => 'marker', reason => 'impatience')));
kafka('signal', $kafka, 1, 'CONT');
ok(until_true('the decision', sub {
	$node->safe_psql('postgres', 'SELECT count(*) FROM mesh_outbox.publisher WHERE resume_from IS NOT NULL') eq '0' }),
	'carried out');
emit($node, 'after-decision' => 1);
ok(wait_published($node), 'published');
once('after-decision');
once('first');

done_testing();
